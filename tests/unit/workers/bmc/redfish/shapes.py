"""Systems as vendors' BMCs show them: the parts that are read, and some that must not get in the way."""

UUID = "33221100-5544-7766-8899-aabbccddeeff"
SWAPPED = "00112233-4455-6677-8899-AABBCCDDEEFF"


def reset(path, *types):
    return {"#ComputerSystem.Reset": {"target": path, "ResetType@Redfish.AllowableValues": list(types)}}


IDRAC = {
    "@odata.id": "/redfish/v1/Systems/System.Embedded.1",
    "@Redfish.Settings": {
        "@odata.type": "#Settings.v1_3_0.Settings",
        "SettingsObject": {"@odata.id": "/redfish/v1/Systems/System.Embedded.1/Settings"},
        "SupportedApplyTimes": ["OnReset"],
    },
    "Actions": reset(
        "/redfish/v1/Systems/System.Embedded.1/Actions/ComputerSystem.Reset",
        "On", "ForceOff", "ForceRestart", "GracefulRestart", "GracefulShutdown", "PushPowerButton", "Nmi", "PowerCycle",
    ),
    "BiosVersion": "2.19.1",
    "Boot": {
        "BootOrder": ["Boot0003", "Boot0004"],
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Floppy", "Cd", "Hdd", "UefiHttp"],
        "StopBootOnFault": "Never",
    },
    "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/iDRAC.Embedded.1"}]},
    "Manufacturer": "Dell Inc.",
    "Model": "PowerEdge R650",
    "PowerState": "On",
    "UUID": SWAPPED.lower(),
}  # fmt: skip
IDRAC_SETTINGS = {"Boot": {"BootOrder": ["Boot0003"], "BootOptions": {"@odata.id": "/redfish/v1/x"}}}

ILO5 = {
    "@odata.etag": 'W/"02C2D1BB"',
    "@odata.id": "/redfish/v1/Systems/1/",
    "Actions": reset(
        "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset/",
        "On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi", "PushPowerButton", "GracefulRestart",
    ),
    "Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Cd", "Hdd", "Usb", "Pxe", "BiosSetup"],
        "UefiTargetBootSourceOverride": "None",
    },
    "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/1/"}]},
    "Manufacturer": "HPE",
    "Model": "ProLiant DL380 Gen10",
    "Oem": {"Hpe": {"PostState": "InPost"}},
    "PowerState": "Off",
    "UUID": UUID.upper(),
}  # fmt: skip

SUPERMICRO = {
    "@odata.id": "/redfish/v1/Systems/1",
    "Actions": {
        "Oem": {},
        "#ComputerSystem.Reset": {
            "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "@Redfish.ActionInfo": "/redfish/v1/Systems/1/ResetActionInfo",
        },
    },
    "Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "Cd", "UsbCd"],
    },
    "BootProgress": {"LastState": "OSRunning", "LastStateTime": "Thu Jan  1 00:00:00 197"},
    "Manufacturer": "Supermicro",
    "Model": "SYS-5019D-FN8TP",
    "PowerState": "On",
    "UUID": "00000000-0000-0000-0000-AC1F6B000000",
}
SUPERMICRO_RESETS = {
    "Id": "ResetActionInfo",
    "Parameters": [
        {
            "AllowableValues": ["On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi", "ForceOn"],
            "DataType": "String",
            "Name": "ResetType",
            "Required": True,
        }
    ],
}

XCC = {
    "@odata.etag": '"3e2c9a2f1b3d"',
    "@odata.id": "/redfish/v1/Systems/1",
    "Actions": {
        "#ComputerSystem.Reset": {
            "title": "Reset",
            "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "ResetType@Redfish.AllowableValues": ["On", "Nmi", "GracefulShutdown", "GracefulRestart", "ForceOn",
                                                  "ForceOff", "ForceRestart"],
            "@Redfish.ActionInfo": "/redfish/v1/Systems/1/ResetActionInfo",
        }
    },
    "Boot": {
        "BootSourceOverrideEnabled": "Once",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideMode@Redfish.AllowableValues": ["UEFI"],
        "BootSourceOverrideTarget": "Pxe",
    },
    "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/1"}]},
    "Manufacturer": "Lenovo",
    "Model": "7X06CTO1WW",
    "PowerState": "PoweringOn",
    "UUID": UUID,
}  # fmt: skip

AMI = {
    "@odata.etag": 'W/"1692349200"',
    "@odata.id": "/redfish/v1/Systems/Self",
    "@Redfish.Settings": {"SettingsObject": {"@odata.id": "/redfish/v1/Systems/Self/SD"}},
    "Actions": reset("/redfish/v1/Systems/Self/Actions/ComputerSystem.Reset", "On", "ForceOff", "ForceRestart"),
    "Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideTarget": "None",
    },
    "Manufacturer": "GIGABYTE",
    "Model": "R282-Z93",
    "PowerState": "Off",
    "UUID": UUID,
}
AMI_SETTINGS = {
    "@odata.etag": 'W/"1692349201"',
    "Boot": {
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideMode": "UEFI",
        "BootSourceOverrideMode@Redfish.AllowableValues": ["Legacy", "UEFI"],
        "BootSourceOverrideTarget": "None",
    },
}

OPENBMC = {
    "@odata.id": "/redfish/v1/Systems/system",
    "Actions": {
        "#ComputerSystem.Reset": {
            "@Redfish.ActionInfo": "/redfish/v1/Systems/system/ResetActionInfo",
            "target": "/redfish/v1/Systems/system/Actions/ComputerSystem.Reset",
        }
    },
    "Boot": {
        "AutomaticRetryAttempts": 3,
        "BootSourceOverrideEnabled": "Disabled",
        "BootSourceOverrideTarget": "None",
        "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd", "Cd", "Diags", "BiosSetup", "Usb"],
    },
    "Links": {"Chassis": [], "ManagedBy": [{"@odata.id": "/redfish/v1/Managers/bmc"}]},
    "Manufacturer": "",
    "Model": None,
    "PowerState": "On",
    "UUID": "",
}
OPENBMC_RESETS = {
    "Parameters": [
        {
            "AllowableValues": ["On", "ForceOff", "ForceOn", "GracefulShutdown", "PowerCycle", "Nmi"],
            "Name": "ResetType",
        }
    ]
}
