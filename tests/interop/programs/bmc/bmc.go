// Package bmc asks BMCs for power with the libraries that Go programs use for it: gofish for Redfish, go-ipmi for IPMI.
package bmc

import (
	"context"
	"time"

	"interop/control"
)

// limit is more than a BMC in the same machine takes, and less than a test does.
const limit = 20 * time.Second

// place is a BMC and a login.
type place struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// Acts are what a test can ask for. All but status answer nothing; an error is the library's own words.
func Acts() control.Acts {
	return control.Acts{
		"redfish status":  control.With(redfishStatus),
		"redfish reset":   control.With(redfishReset),
		"redfish arm":     control.With(redfishArm),
		"redfish session": control.With(redfishSession),
		"ipmi status":     control.With(ipmiStatus),
		"ipmi control":    control.With(ipmiControl),
		"ipmi arm":        control.With(ipmiArm),
	}
}

func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), limit)
}
