"""BMCs that speak Redfish: sushy carries the requests, on connections of our own."""
