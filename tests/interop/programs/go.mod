module interop

go 1.26.5

require (
	github.com/ProtonMail/go-crypto v1.5.2
	github.com/cosi-project/runtime v1.16.2
	github.com/jhump/grpctunnel v0.3.0
	github.com/siderolabs/crypto v0.6.5
	github.com/siderolabs/go-api-signature v0.3.13
	github.com/siderolabs/talos-metal-agent v0.1.6
	golang.org/x/sync v0.22.0
	google.golang.org/grpc v1.82.1
	google.golang.org/protobuf v1.36.12-0.20260120151049-f2248ac996af
)

require (
	github.com/ProtonMail/gopenpgp/v3 v3.4.1 // indirect
	github.com/cloudflare/circl v1.6.3 // indirect
	github.com/fullstorydev/grpchan v1.1.2 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.29.0 // indirect
	github.com/planetscale/vtprotobuf v0.6.1-0.20250313105119-ba97887b0a25 // indirect
	github.com/siderolabs/gen v0.8.7 // indirect
	github.com/siderolabs/go-pointer v1.0.1 // indirect
	github.com/siderolabs/protoenc v0.2.4 // indirect
	go.yaml.in/yaml/v4 v4.0.0-rc.4 // indirect
	golang.org/x/crypto v0.52.0 // indirect
	golang.org/x/net v0.55.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
	golang.org/x/text v0.37.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260504160031-60b97b32f348 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260504160031-60b97b32f348 // indirect
)
