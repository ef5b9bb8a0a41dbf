// Package wire tells which messages and methods the libraries have.
package wire

import (
	_ "github.com/cosi-project/runtime/api/v1alpha1" // registers its messages, as the two below
	_ "github.com/jhump/grpctunnel/tunnelpb"
	_ "github.com/siderolabs/talos-metal-agent/api/agent"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"interop/control"
)

// Acts are what a test can ask for.
func Acts() control.Acts {
	return control.Acts{"describe": control.With(describe)}
}

// describe answers with the files of a package, as bytes of FileDescriptorProto.
func describe(fields struct {
	Package string `json:"package"`
},
) (any, error) {
	var files [][]byte

	var err error

	protoregistry.GlobalFiles.RangeFilesByPackage(
		protoreflect.FullName(fields.Package), func(file protoreflect.FileDescriptor) bool {
			var described []byte

			described, err = proto.Marshal(protodesc.ToFileDescriptorProto(file))
			files = append(files, described)

			return err == nil
		})

	return files, err
}
