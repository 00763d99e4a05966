"""Asks the devices of a node whether they are free. Runs in the node's own agent; reading changes nothing."""

from temporalio import activity

from devices.nvml import DevicesUnavailable
from devices.verification import complaints, too_few_at_rest
from workflows.signatures.leases import DeviceCheck, Devices


class NvmlDevices(Devices):
    """The GPUs of the node that this process runs on."""

    @activity.defn(name="verify_devices")
    def verify_devices(self, check: DeviceCheck) -> list[str]:
        return complaints(check.ordinals)

    @activity.defn(name="precheck_devices")
    def precheck_devices(self, check: DeviceCheck) -> list[str]:
        try:
            return too_few_at_rest(len(check.ordinals))
        except DevicesUnavailable as failure:
            return [str(failure)]
