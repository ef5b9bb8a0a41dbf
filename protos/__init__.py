"""The wire contracts: our .proto files, one folder a service, and in `gen` the code made of them."""
