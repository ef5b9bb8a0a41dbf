// Package authority makes and reads certificate authorities with the library that the Go provider uses for its own.
package authority

import (
	stdx509 "crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/siderolabs/crypto/x509"

	"interop/control"
)

// pair is an authority as it stands in Omni, both parts as PEM.
type pair struct {
	CACert string `json:"ca_cert"`
	CAKey  string `json:"ca_key"`
}

// Acts are what a test can ask for.
func Acts() control.Acts {
	return control.Acts{
		"make":   control.With(create),
		"read":   control.With(read),
		"issue":  control.With(issue),
		"verify": control.With(verify),
	}
}

// create makes an authority as the Go provider does.
func create(struct{}) (any, error) {
	ca, err := x509.NewSelfSignedCertificateAuthority(
		x509.Organization("siderolabs"), x509.NotAfter(time.Now().AddDate(30, 0, 0)),
	)
	if err != nil {
		return nil, err
	}

	return pair{CACert: string(ca.CrtPEM), CAKey: string(ca.KeyPEM)}, nil
}

// open reads an authority.
func open(p pair) (*x509.CertificateAuthority, error) {
	return x509.NewCertificateAuthorityFromCertificateAndKey(&x509.PEMEncodedCertificateAndKey{
		Crt: []byte(p.CACert), Key: []byte(p.CAKey),
	})
}

// read says what an authority is.
func read(p pair) (any, error) {
	ca, err := open(p)
	if err != nil {
		return nil, err
	}

	if err = ca.Crt.CheckSignatureFrom(ca.Crt); err != nil {
		return nil, err
	}

	return map[string]any{
		"organization": ca.Crt.Subject.Organization,
		"algorithm":    ca.Crt.SignatureAlgorithm.String(),
		"key":          fmt.Sprintf("%T", ca.Key),
		"is_ca":        ca.Crt.IsCA,
		"days":         int(time.Until(ca.Crt.NotAfter).Hours() / 24),
	}, nil
}

// issue makes a leaf certificate for an address.
func issue(fields struct {
	pair
	Address string `json:"address"`
},
) (any, error) {
	ca, err := open(fields.pair)
	if err != nil {
		return nil, err
	}

	options := []x509.Option{x509.CommonName("leaf"), x509.NotAfter(time.Now().Add(24 * time.Hour))}
	if ip := net.ParseIP(fields.Address); ip != nil {
		options = append(options, x509.IPAddresses([]net.IP{ip}))
	} else {
		options = append(options, x509.DNSNames([]string{fields.Address}))
	}

	leaf, err := x509.NewKeyPair(ca, options...)
	if err != nil {
		return nil, err
	}

	return string(leaf.CrtPEM), nil
}

// verify checks a leaf certificate as a client of an address does that trusts the authority alone.
func verify(fields struct {
	CACert      string `json:"ca_cert"`
	Certificate string `json:"certificate"`
	Address     string `json:"address"`
},
) (any, error) {
	roots := stdx509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(fields.CACert)) {
		return nil, errors.New("no authority in the PEM text")
	}

	block, _ := pem.Decode([]byte(fields.Certificate))
	if block == nil {
		return nil, errors.New("no PEM block")
	}

	leaf, err := stdx509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}

	_, err = leaf.Verify(stdx509.VerifyOptions{DNSName: fields.Address, Roots: roots})

	return nil, err
}
