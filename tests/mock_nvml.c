/* A stand-in for NVIDIA's libnvidia-ml.so.1: what Berth asks, answered from the text file $MOCK_NVML_STATE, which is
   read again at every call, so that a test can change the GPUs of a running process. One line for each thing, its
   fields separated by tabs and written name=value:

   driver   init=CODE  fail=FUNCTION:CODE,...     what nvmlInit answers; functions that fail on every device
   gpu      uuid= name= total= used= util= mem= power= temp= ecc= ecc_total= pending= failed= pids= mig= lost=CODE
            xids=N,N,...  fail=FUNCTION:CODE,...  a field that is absent is 0; xids only ever grows;
            hang=1: calls do not come back before it is 0
   instance uuid= name= total= used= pids= gslices= cslices=      a MIG instance of the gpu above it

   Built by tests/agent_kit.py: cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, TIMEOUT = 10, LOST = 15 };
#define MOST 16
#define TEXT 1024
#define MIB (1ULL << 20)

typedef struct {
    char uuid[TEXT], name[TEXT], fail[TEXT], xids[TEXT];
    unsigned long long total, used, ecc, ecc_total;
    unsigned util, mem, power, temp, pending, failed, pids, mig, lost, hang, gslices, cslices;
    int parent; /* -1: a whole GPU */
} Device;

/* shapes of the library's answers */
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } MemoryV2;
typedef struct { unsigned version; int sensor, temperature; } TemperatureV1;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu, compute; } Process;
typedef struct { unsigned processors, copy, decoder, encoder, jpeg, ofa, gslices, cslices; unsigned long long megabytes; } Attributes;
typedef struct { void *device; unsigned long long type, data; unsigned gpu, compute; } Event;

/* each thread reads the file for itself */
static __thread Device devices[MOST * 8];
static __thread int count, driver_init;
static __thread char driver_fail[TEXT];
static int opened, told[MOST];

static const char *field(const char *line, const char *name, char *into) {
    char wanted[64];
    into[0] = 0;
    snprintf(wanted, sizeof wanted, "\t%s=", name);
    const char *at = strstr(line, wanted);
    if (at) {
        at += strlen(wanted);
        size_t length = strcspn(at, "\t\n");
        if (length >= TEXT) length = TEXT - 1;
        memcpy(into, at, length);
        into[length] = 0;
    }
    return into;
}
static unsigned long long number(const char *line, const char *name) {
    char text[TEXT];
    return strtoull(field(line, name, text), 0, 10);
}

static void load(void) {
    const char *path = getenv("MOCK_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : 0;
    char line[8192];
    int parent = -1;
    count = 0, driver_init = 0, driver_fail[0] = 0;
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        if (!strncmp(line, "driver\t", 7)) {
            driver_init = (int)number(line, "init");
            field(line, "fail", driver_fail);
            continue;
        }
        int is_gpu = !strncmp(line, "gpu\t", 4);
        if ((!is_gpu && strncmp(line, "instance\t", 9)) || count >= MOST * 8) continue;
        Device *one = &devices[count];
        memset(one, 0, sizeof *one);
        field(line, "uuid", one->uuid), field(line, "name", one->name);
        field(line, "fail", one->fail), field(line, "xids", one->xids);
        one->total = number(line, "total") * MIB, one->used = number(line, "used") * MIB;
        one->ecc = number(line, "ecc"), one->ecc_total = number(line, "ecc_total");
        one->util = number(line, "util"), one->mem = number(line, "mem"), one->power = number(line, "power");
        one->temp = number(line, "temp"), one->pending = number(line, "pending"), one->failed = number(line, "failed");
        one->pids = number(line, "pids"), one->mig = number(line, "mig"), one->lost = number(line, "lost");
        one->hang = number(line, "hang");
        one->gslices = number(line, "gslices"), one->cslices = number(line, "cslices");
        if (is_gpu) parent = count;
        one->parent = is_gpu ? -1 : parent;
        count++;
    }
    fclose(file);
}

/* code that a list FUNCTION:CODE,... has for a function; 0: none */
static int failing(const char *list, const char *function) {
    size_t length = strlen(function);
    for (const char *at = list; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : 0)
        if (!strncmp(at, function, length) && at[length] == ':') return atoi(at + length + 1);
    return 0;
}
static int nth_gpu(unsigned index) {
    for (int i = 0; i < count; i++)
        if (devices[i].parent < 0 && !index--) return i;
    return -1;
}
static int found(void *handle, const char *function, Device **into) {
    load();
    long place = (long)handle - 1;
    if (!opened) return UNINITIALIZED;
    if (driver_init) return UNINITIALIZED;
    if (place < 0 || place >= count) return INVALID;
    Device *one = &devices[place], *whole = one->parent < 0 ? one : &devices[one->parent];
    while (whole->hang) usleep(50000), load();
    if (whole->lost) return (int)whole->lost;
    int code = failing(driver_fail, function);
    if (!code) code = failing(one->fail, function);
    *into = one;
    return code;
}
#define DEVICE Device *d; int code = found(handle, __func__, &d); if (code) return code

static int copied(char *into, unsigned length, const char *text) {
    if (strlen(text) + 1 > length) return TOO_SMALL;
    strcpy(into, text);
    return OK;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    load();
    if (!driver_init) __atomic_add_fetch(&opened, 1, __ATOMIC_SEQ_CST);
    return driver_init;
}
int nvmlShutdown(void) {
    if (!opened) return UNINITIALIZED;
    __atomic_sub_fetch(&opened, 1, __ATOMIC_SEQ_CST);
    return OK;
}
const char *nvmlErrorString(int code) { return code == LOST ? "GPU is lost" : code == TIMEOUT ? "Timeout" : "mock error"; }
int nvmlDeviceGetCount_v2(unsigned *into) {
    load();
    if (!opened || driver_init) return UNINITIALIZED;
    *into = 0;
    for (int i = 0; i < count; i++) *into += devices[i].parent < 0;
    return failing(driver_fail, __func__);
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **into) {
    load();
    if (!opened || driver_init) return UNINITIALIZED;
    int place = nth_gpu(index);
    if (place < 0) return INVALID;
    if (devices[place].lost) return (int)devices[place].lost;
    *into = (void *)(long)(place + 1);
    return failing(driver_fail, __func__);
}
int nvmlDeviceGetUUID(void *handle, char *into, unsigned length) { DEVICE; return copied(into, length, d->uuid); }
int nvmlDeviceGetName(void *handle, char *into, unsigned length) { DEVICE; return copied(into, length, d->name); }
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *into) {
    DEVICE;
    into[0] = d->total, into[1] = d->total - d->used, into[2] = d->used;
    return OK;
}
int nvmlDeviceGetMemoryInfo_v2(void *handle, MemoryV2 *into) {
    DEVICE;
    into->total = d->total, into->reserved = 0, into->free = d->total - d->used, into->used = d->used;
    return OK;
}
int nvmlDeviceGetUtilizationRates(void *handle, unsigned *into) {
    DEVICE;
    if (d->parent >= 0 || d->mig) return NOT_SUPPORTED;
    into[0] = d->util, into[1] = d->mem;
    return OK;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *into) {
    DEVICE;
    if (d->parent >= 0) return NOT_SUPPORTED;
    *into = d->power;
    return OK;
}
int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *into) {
    (void)sensor;
    DEVICE;
    if (d->parent >= 0) return NOT_SUPPORTED;
    *into = d->temp;
    return OK;
}
int nvmlDeviceGetTemperatureV(void *handle, TemperatureV1 *into) {
    DEVICE;
    if (d->parent >= 0) return NOT_SUPPORTED;
    into->temperature = (int)d->temp;
    return OK;
}
int nvmlDeviceGetTotalEccErrors(void *handle, int type, int counter, unsigned long long *into) {
    DEVICE;
    *into = type == 0 ? 0 : counter == 0 ? d->ecc : d->ecc_total;
    return OK;
}
int nvmlDeviceGetRemappedRows(void *handle, unsigned *corrected, unsigned *uncorrected, unsigned *pending, unsigned *failed) {
    DEVICE;
    *corrected = 0, *uncorrected = d->pending, *pending = d->pending, *failed = d->failed;
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *many, Process *into) {
    DEVICE;
    unsigned room = *many;
    *many = d->pids;
    if (room < d->pids || (!into && d->pids)) return TOO_SMALL;
    for (unsigned i = 0; i < d->pids; i++) into[i].pid = 1000 + i, into[i].used = d->used / d->pids, into[i].gpu = into[i].compute = ~0u;
    return OK;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *pending) { DEVICE; *now = *pending = d->mig; return OK; }
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *into) { DEVICE; *into = 7; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **into) {
    DEVICE;
    for (int i = 0; i < count; i++)
        if (devices[i].parent == (int)(d - devices) && !index--) return *into = (void *)(long)(i + 1), OK;
    return NOT_FOUND;
}
int nvmlDeviceGetAttributes_v2(void *handle, Attributes *into) {
    DEVICE;
    memset(into, 0, sizeof *into);
    into->gslices = d->gslices, into->cslices = d->cslices, into->megabytes = d->total / MIB;
    return OK;
}

/* a listener is told what comes after it began */
static int xids_of(const Device *one) {
    int many = one->xids[0] != 0;
    for (const char *at = one->xids; *at; at++) many += *at == ',';
    return many;
}
static int nth_xid(const Device *one, int n) {
    const char *at = one->xids;
    while (n--) at = strchr(at, ',') + 1;
    return atoi(at);
}
int nvmlEventSetCreate(void **into) {
    if (!opened) return UNINITIALIZED;
    *into = (void *)1;
    return OK;
}
int nvmlEventSetFree(void *set) { (void)set; return OK; }
int nvmlDeviceRegisterEvents(void *handle, unsigned long long types, void *set) {
    (void)types, (void)set;
    DEVICE;
    if ((d - devices) < MOST) told[d - devices] = xids_of(d);
    return OK;
}
int nvmlEventSetWait_v2(void *set, Event *into, unsigned milliseconds) {
    (void)set;
    for (unsigned waited = 0;; waited += 20) {
        load();
        if (!opened || driver_init) return UNINITIALIZED;
        for (int i = 0; i < count && i < MOST; i++)
            if (devices[i].parent < 0 && xids_of(&devices[i]) > told[i]) {
                into->device = (void *)(long)(i + 1), into->type = 8, into->data = nth_xid(&devices[i], told[i]++);
                into->gpu = into->compute = ~0u;
                return OK;
            }
        if (waited >= milliseconds) return TIMEOUT;
        usleep(20000);
    }
}
