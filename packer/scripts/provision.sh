#!/bin/sh
# Packer's shell provisioner runs this on the machine that becomes the image: Ansible, on the machine itself, as root.
#
# Environment: PLAYBOOKS, the uploaded directory ansible/; and what deploy.yml reads: APP_VERSION, APP_PORT,
# APP_HEALTH_PATH, APP_HEALTH_SECONDS, ARTIFACT_URL, ARTIFACT_SHA256; CONSUL_URL, CONSUL_SHA256 where there is Consul.
# PLAYBOOK: what comes after bootstrap.yml, deploy.yml if it is not set.
# What only the bake needs is gone at the end: Ansible, the packages it took, the playbooks, every temporary file.
set -eu

# -E and not VAR=value: sudo logs its command line, and the artifact's URL is a credential.
[ "$(id -u)" -eq 0 ] || exec sudo -E sh "$0"

: "${PLAYBOOKS:?is not set}" "${ARTIFACT_URL:?is not set}" "${ARTIFACT_SHA256:?is not set}" "${APP_VERSION:?is not set}"

work=$(mktemp -d)
trap 'rm -rf "$work" "$PLAYBOOKS"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Everything that keeps files in a home directory (pip, Ansible) keeps them here.
export HOME="$work"
export ANSIBLE_CONFIG="$PLAYBOOKS/ansible.cfg"

fail() {
    echo "error: $*" >&2
    exit 1
}

# Sets `taken`, the package to remove at the end, unless the base image has it anyway.
install_ansible() {
    taken=
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        python=python3
        if ! dpkg-query --show --showformat='${db:Status-Status}' python3-venv 2>/dev/null | grep -qx installed; then
            # A machine that has just started updates by itself, and locks others out meanwhile.
            attempts=24
            until apt-get -qq update; do
                attempts=$((attempts - 1))
                [ "$attempts" -gt 0 ] || fail "apt-get can't update its lists."
                sleep 5
            done
            apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends python3-venv >/dev/null
            taken=python3-venv
        fi
    elif command -v dnf >/dev/null; then
        python=python3.11 # Amazon Linux 2023's python3 is 3.9
        if ! rpm --quiet -q "$python"; then
            dnf --quiet --assumeyes install "$python"
            taken=$python
        fi
    else
        fail "this system has neither apt-get nor dnf. Choose a base image that has, or one with ansible-playbook."
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Ansible needs Python 3.11 or later, and this system has $("$python" -V). Choose a newer base image."
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes --requirement "$PLAYBOOKS/requirements.txt"
    PATH="$work/venv/bin:$PATH"
}

# Marked as a dependency and no more, it stays if a role has since installed something that needs it.
remove_taken() {
    case $taken in
    '') ;;
    python3-venv)
        apt-mark auto "$taken" >/dev/null
        apt-get -qq autoremove --purge >/dev/null
        ;;
    *)
        dnf --quiet --assumeyes mark remove "$taken"
        dnf --quiet --assumeyes autoremove
        ;;
    esac
}

# At first boot cloud-init holds the package manager's lock. That it fails says nothing about the bake.
if command -v cloud-init >/dev/null; then
    cloud-init status --wait >/dev/null || true
fi

taken=
command -v ansible-playbook >/dev/null || install_ansible
cd "$PLAYBOOKS"
ansible-playbook --inventory inventory/localhost.yml bootstrap.yml "${PLAYBOOK:-deploy.yml}"
cd /
remove_taken
