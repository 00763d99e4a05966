"""Asks the devices of a node whether they are free. Runs in the node's own agent; reading changes nothing."""

from temporalio import activity

from devices.verification import complaints
from workflows.signatures import DeviceCheck, Devices


class NvmlDevices(Devices):
    """The GPUs of the node that this process runs on."""

    @activity.defn(name="verify_devices")
    def verify_devices(self, check: DeviceCheck) -> list[str]:
        return complaints(check.ordinals)
