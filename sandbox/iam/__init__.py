"""What IAM would say to a call: which actions on which resources it needs, and whether a caller's policies allow them.

`reference` is AWS's Service Authorization Reference, `questions` turns a call into what IAM is asked, `policy` answers;
`recording` keeps what was asked, `generate` makes policies of that. All of it is pure: sandbox/cloud/judge.py knows the
callers and the resources. No boundaries, no policies of resources, no service control policies.
"""
