package bmc

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
)

// redfish is a place, and how it is logged in: with a session, or with each request.
type redfish struct {
	place
	Basic bool `json:"basic"`
}

// with does something in one login with the one System that there is.
func (r redfish) with(do func(*gofish.APIClient, *schemas.ComputerSystem) (any, error)) (any, error) {
	ctx, cancel := bounded()
	defer cancel()

	client, err := gofish.ConnectContext(ctx, gofish.ClientConfig{
		Endpoint:         "https://" + net.JoinHostPort(r.Host, strconv.Itoa(r.Port)),
		Username:         r.Username,
		Password:         r.Password,
		Insecure:         true,
		BasicAuth:        r.Basic,
		ReuseConnections: true,
	})
	if err != nil {
		return nil, err
	}

	defer client.HTTPClient.CloseIdleConnections()

	if !r.Basic {
		defer client.Logout()
	}

	systems, err := client.Service.Systems()
	if err != nil {
		return nil, err
	}

	if len(systems) != 1 {
		return nil, fmt.Errorf("there are %d systems", len(systems))
	}

	return do(client, systems[0])
}

// redfishStatus reads all that there is to read.
func redfishStatus(r redfish) (any, error) {
	return r.with(func(client *gofish.APIClient, system *schemas.ComputerSystem) (any, error) {
		types, err := system.GetSupportedResetTypes()
		if err != nil {
			return nil, err
		}

		managers, managersErr := client.Service.Managers()
		chassis, chassisErr := client.Service.Chassis()
		managedBy, managedByErr := system.ManagedBy()

		if err = errors.Join(managersErr, chassisErr, managedByErr); err != nil {
			return nil, err
		}

		if len(managers) != 1 || len(chassis) != 1 || len(managedBy) != 1 {
			return nil, fmt.Errorf("%d managers, %d chassis, managed by %d", len(managers), len(chassis), len(managedBy))
		}

		return map[string]any{
			"power":    system.PowerState,
			"uuid":     system.UUID,
			"enabled":  system.Boot.BootSourceOverrideEnabled,
			"target":   system.Boot.BootSourceOverrideTarget,
			"mode":     system.Boot.BootSourceOverrideMode,
			"types":    types,
			"firmware": managers[0].FirmwareVersion,
			"model":    chassis[0].Model,
		}, nil
	})
}

// redfishReset does a reset of this type.
func redfishReset(fields struct {
	redfish
	Type schemas.ResetType `json:"type"`
},
) (any, error) {
	return fields.with(func(_ *gofish.APIClient, system *schemas.ComputerSystem) (any, error) {
		_, err := system.Reset(fields.Type)

		return nil, err
	})
}

// redfishArm has the next boot come from the network.
func redfishArm(r redfish) (any, error) {
	return r.with(func(_ *gofish.APIClient, system *schemas.ComputerSystem) (any, error) {
		return nil, system.SetBoot(&schemas.Boot{
			BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled,
			BootSourceOverrideMode:    schemas.UEFIBootSourceOverrideMode,
			BootSourceOverrideTarget:  schemas.PxeBootSource,
		})
	})
}

// redfishSession reads who is logged in, by a session of its own.
func redfishSession(r redfish) (any, error) {
	return r.with(func(client *gofish.APIClient, _ *schemas.ComputerSystem) (any, error) {
		service, err := client.Service.SessionService()
		if err != nil {
			return nil, err
		}

		sessions, err := service.Sessions()
		if err != nil {
			return nil, err
		}

		users := make([]string, 0, len(sessions))
		for _, session := range sessions {
			users = append(users, session.UserName)
		}

		return users, nil
	})
}
