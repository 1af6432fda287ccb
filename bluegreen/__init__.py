"""Blue/green deployment of machine images on AWS: test the new fleet, then swap, in one `pulumi up`."""
