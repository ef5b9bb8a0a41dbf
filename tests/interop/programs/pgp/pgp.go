// Package pgp makes keys and checks signatures with the OpenPGP library of Omni and its tools.
package pgp

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"interop/control"
)

// Acts are what a test can ask for.
func Acts() control.Acts {
	return control.Acts{
		"make":   control.With(create),
		"verify": control.With(verify),
	}
}

// create makes a private key in armor.
func create(fields struct {
	Algorithm int    `json:"algorithm"`
	Version6  bool   `json:"version6"`
	Name      string `json:"name"`
	Email     string `json:"email"`
	LifeS     uint32 `json:"life_s"`
},
) (any, error) {
	config := &packet.Config{
		Algorithm:       packet.PublicKeyAlgorithm(fields.Algorithm),
		V6Keys:          fields.Version6,
		DefaultHash:     crypto.SHA256,
		KeyLifetimeSecs: fields.LifeS,
		RSABits:         2048,
	}

	entity, err := openpgp.NewEntity(fields.Name, "", fields.Email, config)
	if err != nil {
		return nil, err
	}

	var text bytes.Buffer

	writer, err := armor.Encode(&text, openpgp.PrivateKeyType, nil)
	if err != nil {
		return nil, err
	}

	if err = entity.SerializePrivate(writer, config); err != nil {
		return nil, err
	}

	if err = writer.Close(); err != nil {
		return nil, err
	}

	return map[string]any{
		"armored":     text.String(),
		"fingerprint": hex.EncodeToString(entity.PrimaryKey.Fingerprint),
		"expires_s":   entity.PrimaryKey.CreationTime.Unix() + int64(fields.LifeS),
	}, nil
}

// verify checks a detached signature; the answer is the fingerprint of the key that made it.
func verify(fields struct {
	Armored   string `json:"armored"`
	Data      []byte `json:"data"`
	Signature []byte `json:"signature"`
},
) (any, error) {
	ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(fields.Armored))
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}

	signer, err := openpgp.CheckDetachedSignature(
		ring, bytes.NewReader(fields.Data), bytes.NewReader(fields.Signature), nil,
	)
	if err != nil {
		return nil, err
	}

	return hex.EncodeToString(signer.PrimaryKey.Fingerprint), nil
}
