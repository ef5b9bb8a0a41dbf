// Interop is the other end of a wire, made of the libraries that real installations use:
//
//	interop cosi        a state server, as Omni has one
//	interop agent       the agents of machines
//	interop authority   certificate authorities, as the Go provider makes and reads them
//	interop bmc         clients of BMCs
//	interop pgp         keys and signatures, as Omni and its tools make and check them
//	interop wire        which messages and methods the libraries have
//
// A test steers it over its standard input and output, see package control.
package main

import (
	"fmt"
	"os"

	"interop/agent"
	"interop/authority"
	"interop/bmc"
	"interop/control"
	"interop/cosi"
	"interop/pgp"
	"interop/wire"
)

func main() {
	programs := map[string]func() control.Acts{
		"cosi":      cosi.Acts,
		"agent":     agent.Acts,
		"authority": authority.Acts,
		"bmc":       bmc.Acts,
		"pgp":       pgp.Acts,
		"wire":      wire.Acts,
	}

	if len(os.Args) == 2 {
		if acts, known := programs[os.Args[1]]; known {
			control.Serve(acts())

			return
		}
	}

	fmt.Fprintln(os.Stderr, "usage: interop cosi|agent|authority|bmc|pgp|wire")
	os.Exit(2)
}
