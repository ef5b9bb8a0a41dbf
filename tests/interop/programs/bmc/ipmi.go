package bmc

import (
	"context"
	"time"

	"github.com/bougou/go-ipmi"
)

// ipmiAnswer is for one answer; the library sends again where none has come in time.
const ipmiAnswer = 5 * time.Second

// with does something in one session.
func (p place) with(do func(context.Context, *ipmi.Client) (any, error)) (any, error) {
	ctx, cancel := bounded()
	defer cancel()

	client, err := ipmi.NewClient(p.Host, p.Port, p.Username, p.Password)
	if err != nil {
		return nil, err
	}

	client.WithInterface(ipmi.InterfaceLanplus).WithTimeout(ipmiAnswer)

	if err = client.Connect(ctx); err != nil {
		return nil, err
	}

	answer, err := do(ctx, client)
	if closed := client.Close(ctx); err == nil {
		err = closed
	}

	return answer, err
}

// ipmiStatus reads the power and the boot flags.
func ipmiStatus(p place) (any, error) {
	return p.with(func(ctx context.Context, client *ipmi.Client) (any, error) {
		status, err := client.GetChassisStatus(ctx)
		if err != nil {
			return nil, err
		}

		flags := &ipmi.BootOptionParam_BootFlags{}
		if err = client.GetSystemBootOptionsParamFor(ctx, flags); err != nil {
			return nil, err
		}

		return map[string]any{
			"power":      status.PowerIsOn,
			"valid":      flags.BootFlagsValid,
			"persistent": flags.Persist,
			"efi":        bool(flags.BIOSBootType),
			"pxe":        flags.BootDeviceSelector == ipmi.BootDeviceSelectorForcePXE,
		}, nil
	})
}

// ipmiControl presses a button: 0 off, 1 on, 2 cycle, 3 reset.
func ipmiControl(fields struct {
	place
	Control ipmi.ChassisControl `json:"control"`
},
) (any, error) {
	return fields.with(func(ctx context.Context, client *ipmi.Client) (any, error) {
		_, err := client.ChassisControl(ctx, fields.Control)

		return nil, err
	})
}

// ipmiArm has the next boot come from the network.
func ipmiArm(p place) (any, error) {
	return p.with(func(ctx context.Context, client *ipmi.Client) (any, error) {
		return nil, client.SetBootDevice(ctx, ipmi.BootDeviceSelectorForcePXE, ipmi.BIOSBootTypeEFI, false)
	})
}
