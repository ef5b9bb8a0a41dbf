"""A virtual Redfish BMC: documents, logins, boot override, power, and the server that has them."""
