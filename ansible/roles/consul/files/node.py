"""What a machine does for Consul before it starts, and once it has: `node.py configure ROLE`, `node.py join`.

A machine knows by its tags whose it is. Its config and its keys are in SSM, where its own role may read them; they are
written to the unit's runtime directory, in memory, and are gone with the process. Nothing but the standard library:
Python 3.9 or later.
"""

import datetime
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

CONSUL = os.environ.get("CONSUL_HTTP_ADDR", "http://127.0.0.1:8500")
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
RUN = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/consul"))
HOOK = "joined"
OF_AGENTS = ("agent/gossip-key", "agent/ca", "agent/token")
OF_SERVERS = ("server/certificate", "server/key", "server/management-token", "server/ledger-token")
AGENTS_RULES = """
node_prefix "i-" { policy = "write" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
agent_prefix "i-" { policy = "read" }
"""
WAIT_SECONDS = 2.0

# No proxy stands before this machine's own addresses, nor before AWS's of a VPC.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Metadata:
    """Of this instance (IMDSv2)."""

    def __init__(self):
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
        request = urllib.request.Request(f"{METADATA}/latest/api/token", method="PUT", headers=headers)
        with _open(request, timeout=5) as answer:
            self._token = answer.read().decode()

    def get(self, path):
        headers = {"X-aws-ec2-metadata-token": self._token}
        request = urllib.request.Request(f"{METADATA}/latest/meta-data/{path}", headers=headers)
        with _open(request, timeout=5) as answer:
            return answer.read().decode()

    def tag(self, key):
        return self.get(f"tags/instance/{key}")

    def credentials(self):
        role = self.get("iam/security-credentials/").split()[0]
        return json.loads(self.get(f"iam/security-credentials/{role}"))


def signed(request, body, service, region, credentials, now):
    """The request with AWS's Signature Version 4. Its path is /, and it has no query."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    headers = {key.lower(): value for key, value in request.header_items()}
    headers.update({"host": urllib.parse.urlsplit(request.full_url).netloc, "x-amz-date": stamp})
    headers["x-amz-security-token"] = credentials["Token"]
    names = ";".join(sorted(headers))
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{headers[name].strip()}" for name in sorted(headers)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials['SecretAccessKey']}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    for name in ("x-amz-date", "x-amz-security-token"):
        request.add_header(name, headers[name])
    request.add_header(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={credentials['AccessKeyId']}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}",
    )
    return request


def ask_aws(metadata, service, body, headers):
    region = metadata.get("placement/region")
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    url = os.environ.get("AWS_ENDPOINT_URL", f"https://{service}.{region}.{suffix}").rstrip("/") + "/"
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    request = signed(
        request,
        body,
        service,
        region,
        metadata.credentials(),
        datetime.datetime.now(datetime.timezone.utc),  # noqa: UP017  Python 3.9
    )
    try:
        with _open(request, timeout=20) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{service} refused: {error.code} {error.read().decode(errors='replace')[:500]}") from None


def parameters(metadata, path, names):
    """Values by name, of parameters below the path. Ends the program where one is not there."""
    asked = {"Names": [f"{path}/{name}" for name in names], "WithDecryption": True}
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM.GetParameters"}
    answer = json.loads(ask_aws(metadata, "ssm", json.dumps(asked).encode(), headers))
    if missing := answer.get("InvalidParameters"):
        raise SystemExit(f"SSM has no {', '.join(sorted(missing))}")
    return {each["Name"][len(path) + 1 :]: each["Value"] for each in answer["Parameters"]}


def node_config(config, keys, address, instance):
    """What servers and agents have in common."""
    return {
        "datacenter": config["datacenter"],
        "node_name": instance,
        "bind_addr": address,
        "retry_join": config["retry_join"],
        "encrypt": keys["agent/gossip-key"],
        "tls": {"defaults": {"ca_file": str(RUN / "ca.pem")}},
        "acl": {"tokens": {"agent": keys["agent/token"]}},
    }


def server_config(config, keys, address, instance):
    found = node_config(config, keys, address, instance)
    found["bootstrap_expect"] = config["servers"]
    found["tls"]["defaults"].update(cert_file=str(RUN / "certificate.pem"), key_file=str(RUN / "key.pem"))
    # Not the agents': their token is no server's before this one has made it.
    found["acl"]["tokens"] = {
        "agent": keys["server/management-token"],
        "initial_management": keys["server/management-token"],
    }
    return found


def agent_config(config, keys, address, instance, service, release, port, health):
    found = node_config(config, keys, address, instance)
    found["acl"]["tokens"]["dns"] = keys["agent/token"]
    found["services"] = [
        {
            "name": service,
            "port": int(port),
            "tags": [release],
            "meta": {"release": release},
            "token": keys["agent/token"],
            "check": {"http": f"http://{address}:{port}{health}", "interval": "10s", "timeout": "2s"},
        }
    ]
    return found


def write(name, text):
    RUN.mkdir(parents=True, exist_ok=True)
    with open(RUN / name, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(text)


def configure(role, health):
    metadata = Metadata()
    path = f"/bluegreen/{metadata.tag('bluegreen:project')}/{metadata.tag('bluegreen:stack')}/consul"
    is_server = role == "server"
    keys = parameters(metadata, path, ("config", *OF_AGENTS, *(OF_SERVERS if is_server else ())))
    config = json.loads(keys["config"])
    here = (metadata.get("local-ipv4"), metadata.get("instance-id"))
    write("ca.pem", keys["agent/ca"])
    if is_server:
        write("certificate.pem", keys["server/certificate"])
        write("key.pem", keys["server/key"])
        tokens = {name: value for name, value in keys.items() if name.endswith("token")}
        write("tokens.json", json.dumps({"config": config, "keys": tokens}))
        write("node.json", json.dumps(server_config(config, keys, *here)))
        return
    of_service = [metadata.tag(f"bluegreen:{each}") for each in ("service", "release", "port")]
    write("node.json", json.dumps(agent_config(config, keys, *here, *of_service, health)))


def ask_consul(method, path, token, body=None):
    """The answer, None where Consul refuses or can't."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"X-Consul-Token": token, "Content-Type": "application/json"}
    try:
        with _open(urllib.request.Request(f"{CONSUL}/v1/{path}", data, headers, method=method), timeout=10) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError):
        return None


def policies_of(config):
    services = "\n".join(f'service "{name}" {{ policy = "write" }}' for name in config["services"])
    return {
        "agents": AGENTS_RULES + services,
        "ledger": f'key_prefix "{config["ledger"]}" {{ policy = "write" }}',
    }


def keep_access(config, keys):
    """Policies and tokens as they should be; whether they are. Every server sees to it."""
    management = keys["server/management-token"]
    tokens = {"agents": keys["agent/token"], "ledger": keys["server/ledger-token"]}
    for name, rules in policies_of(config).items():
        known = ask_consul("GET", f"acl/policy/name/{name}", management)
        if not known or known["Rules"] != rules:
            at = f"acl/policy/{known['ID']}" if known else "acl/policy"
            ask_consul("PUT", at, management, {"Name": name, "Rules": rules})
            return False
        if not ask_consul("GET", "acl/token/self", tokens[name]):
            token = {"SecretID": tokens[name], "Description": name, "Policies": [{"Name": name}]}
            ask_consul("PUT", "acl/token", management, token)
            return False
    return True


def has_joined(instance, servers, token):
    """Whether this server has a vote, and as many as there should be are well."""
    health = ask_consul("GET", "operator/autopilot/health", token) or {}
    well = {each["Name"]: each["Voter"] for each in health.get("Servers") or () if each["Healthy"]}
    return well.get(instance, False) and len(well) >= servers


def tell_group(metadata, instance):
    """That this server is ready, if its Auto Scaling group waits for it."""
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}

    def call(action, **more):
        body = urllib.parse.urlencode({"Action": action, "Version": "2011-01-01", **more}).encode()
        return ask_aws(metadata, "autoscaling", body, headers).decode()

    found = call("DescribeAutoScalingInstances", **{"InstanceIds.member.1": instance})
    if "<LifecycleState>Pending" not in found:
        return
    group = found.partition("<AutoScalingGroupName>")[2].partition("<")[0]
    call(
        "CompleteLifecycleAction",
        AutoScalingGroupName=group,
        LifecycleHookName=HOOK,
        InstanceId=instance,
        LifecycleActionResult="CONTINUE",
    )


def join():
    known = json.loads((RUN / "tokens.json").read_text())
    metadata = Metadata()
    instance = metadata.get("instance-id")
    config, keys = known["config"], known["keys"]
    while not (has_joined(instance, config["servers"], keys["server/management-token"]) and keep_access(config, keys)):
        time.sleep(WAIT_SECONDS)
    tell_group(Metadata(), instance)  # its token may have ended meanwhile


if __name__ == "__main__":
    os.umask(0o077)
    if sys.argv[1] == "configure":
        configure(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "/health")
    else:
        join()
