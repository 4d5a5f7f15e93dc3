"""Whether all nodes hold the same, as they themselves say it."""

import json
import subprocess

from nodes import COMMAND_SECONDS, Failure, wait_until


def statuses(hosts):
    """What `status` says of each node, None of those that stand still."""
    running = {number: subprocess.Popen(
        [host.command, "status", host.file, "--json"], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number, host in hosts.items() if not host.paused}
    result = dict.fromkeys(hosts)
    for number, process in running.items():
        out, err = process.communicate(timeout=COMMAND_SECONDS)
        if process.returncode != 0:
            raise Failure("status failed on node %d: %s"
                          % (number, err.strip()))
        result[number] = json.loads(out)
        hosts[number].sites.add(result[number]["site"])
    return result


def owners(hosts):
    """The node of each site that was seen."""
    return {site: number for number, host in hosts.items()
            for site in host.sites}


def difference(statuses):
    """Why the nodes are not equal, or None."""
    first = statuses[1]
    for number, status in statuses.items():
        if status is None or not status["running"]:
            return "node %d does not answer" % number
        if status["journal"] != 0:
            return "node %d has %d rows to seal" % (number, status["journal"])
        for what in ("vv", "fingerprint"):
            if status[what] != first[what]:
                return "node 1 and node %d differ in %s" % (number, what)
    return None


def wait_equal(hosts, patience):
    """Wait for equal vectors, fingerprints and tables, and nothing unsealed;
    returns the table."""
    why = [None]

    def equal():
        for host in hosts.values():
            host.check_alive()
        why[0] = difference(statuses(hosts))
        return not why[0]
    try:
        wait_until(equal, patience, "all nodes are equal", every=0.05)
    except Failure as error:
        raise Failure("%s: %s" % (error, why[0])) from error
    tables = {number: host.rows() for number, host in hosts.items()}
    for number, table in tables.items():
        if table != tables[1]:
            raise Failure("node %d has the vector and fingerprint of node 1,"
                          " but other rows" % number)
    return tables[1]
