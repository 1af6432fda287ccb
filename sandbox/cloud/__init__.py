"""The stand-in for AWS: moto's API on one port, and behind it a data plane of real processes and real traffic.

    api.py          the HTTP server: moto, /_sandbox/ and /_imds/ on one port; the log of AWS calls
    cloud.py        what joins the two: reads moto's tables, keeps the data plane in line with them
    moto_gaps/      what moto lacks or gets wrong, in one place: a module for each area, among them images and keys
                    across regions and accounts, and CloudWatch's API
    quotas.py       how many vCPUs may run; throttle.py: which calls are refused for their number
    images.py       an AMI as a directory tree; unit.py: what of it starts
    machines.py     an instance as OS processes; boot.py: one that starts; user_data.py: what it runs then; warden.py:
                    none of them outlives the sandbox; metadata.py: what it may know of itself
    ssh.py          a machine that can be logged into, in a cell.py of its own; systemctl.py: its services
    autoscaling.py  Auto Scaling groups launch, replace and terminate; activity.py: their history, lifecycle.py: what
                    instances wait for, termination.py: which one goes
    routing.py      the load balancers' table, as values; balancers.py: made from moto's tables
    tls.py          how they use certificates; certificates.py: which ones a listener may have;
                    authority.py: who signs those of ACM
    stickiness.py   the cookies by which they know a client again
    meter.py        counts what the load balancers do; samples.py: in distributions
    metrics.py      CloudWatch's metrics and queries, with metric_math.py; alarms.py: its alarms
    plane.py        the thread that carries traffic: health.py probes, proxy.py forwards
    request.py      a request as it comes and goes on; target_connection.py: where to
    loopback.py     the sandbox's own addresses

Threads and locks: moto's backends are plain dicts. **Whoever touches a moto object, or anything in cloud.py,
machines.py or autoscaling.py, holds `Cloud.lock`**: the API for one whole call, the control thread for one whole
round. The data plane's thread never takes that lock and never touches moto: it gets frozen tables
(`Plane.apply`), and others read single attributes of its live objects. So a thread that holds the lock may wait for
the data plane, and never the other way round.
"""
