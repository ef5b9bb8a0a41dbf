package cosi

import (
	"context"
	"errors"
	"time"

	"github.com/siderolabs/go-api-signature/pkg/message"
	"github.com/siderolabs/go-api-signature/pkg/pgp"
	"github.com/siderolabs/go-api-signature/pkg/serviceaccount"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// longest is the life that Omni allows a key at most.
const longest = 365 * 24 * time.Hour

// account is what a test is told of a key.
type account struct {
	Variable    string `json:"variable"` // the value of OMNI_SERVICE_ACCOUNT_KEY
	Name        string `json:"name"`
	Fingerprint string `json:"fingerprint"`
}

// account makes a key as `omnictl` does. From the first account on only signed calls are answered.
func (o *omni) account(fields struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	LifeS int    `json:"life_s"`
},
) (any, error) {
	key, err := pgp.GenerateKey(fields.Name, "", fields.Email, time.Duration(fields.LifeS)*time.Second)
	if err != nil {
		return nil, err
	}

	variable, err := serviceaccount.Encode(fields.Name, key)
	if err != nil {
		return nil, err
	}

	o.admit(key)

	return account{variable, fields.Name, key.Fingerprint()}, nil
}

// trust takes a key that somebody else has made, if Omni would.
func (o *omni) trust(fields struct {
	Variable string `json:"variable"`
},
) (any, error) {
	found, err := serviceaccount.Decode(fields.Variable)
	if err != nil {
		return nil, err
	}

	if err = found.Key.Validate(pgp.WithMaxAllowedLifetime(longest), pgp.WithValidEmailAsName(false)); err != nil {
		return nil, err
	}

	o.admit(found.Key)

	return account{fields.Variable, found.Name, found.Key.Fingerprint()}, nil
}

// revoke forgets all keys but goes on to want signatures.
func (o *omni) revoke(struct{}) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.keys = map[string]*pgp.Key{}

	return nil, nil
}

func (o *omni) admit(key *pgp.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.keys == nil {
		o.keys = map[string]*pgp.Key{}
	}

	o.keys[key.Fingerprint()] = key
}

// refusals answers with the reasons for which calls were refused; Omni tells them to its log alone.
func (o *omni) refusals(struct{}) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.refused, nil
}

// check refuses a call that nobody known has signed.
func (o *omni) check(ctx context.Context, method string) error {
	o.mu.Lock()
	defer o.mu.Unlock()

	if o.keys == nil {
		return nil
	}

	if err := o.verify(ctx, method); err != nil {
		o.refused = append(o.refused, err.Error())

		return status.Error(codes.Unauthenticated, "invalid signature")
	}

	return nil
}

func (o *omni) verify(ctx context.Context, method string) error {
	headers, _ := metadata.FromIncomingContext(ctx)
	signed := message.NewGRPC(headers, method)

	signature, err := signed.Signature()
	if err != nil {
		return err
	}

	key, known := o.keys[signature.KeyFingerprint]
	if !known {
		return errors.New("no such key")
	}

	return signed.VerifySignature(key)
}

func (o *omni) checkUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := o.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}

	return next(ctx, request)
}

func (o *omni) checkStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := o.check(stream.Context(), info.FullMethod); err != nil {
		return err
	}

	return next(srv, stream)
}
