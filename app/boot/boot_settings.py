"""The options that boot answers depend on, as the pure functions of `app.machine` take them."""

from __future__ import annotations

from app.machine.boot import BootSettings, DiskMethod
from config.settings import Settings


def boot_settings(settings: Settings) -> BootSettings:
    """The options that boot answers depend on."""
    return BootSettings(
        api_advertise_address=settings.api_advertise_address,
        api_port=settings.api_port,
        image_factory_pxe_base_url=settings.image_factory_pxe_base_url,
        agent_mode_talos_version=settings.agent_mode_talos_version,
        boot_from_disk_method=DiskMethod(settings.boot_from_disk_method),
        secure_boot_enabled=settings.secure_boot_enabled,
        use_local_boot_assets=settings.use_local_boot_assets,
        agent_test_mode=settings.agent_test_mode,
        tls_enabled=settings.tls_enabled,
        tls_api_port=settings.tls_api_port,
        tls_agent_skip_verify=settings.tls_agent_skip_verify,
    )
