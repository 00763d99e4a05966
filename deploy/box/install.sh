#!/bin/sh
# Makes a Debian with the packages of packages.txt into a box's image. As root, inside it; beside it lie requirements.lock
# and, where there is no network, a folder `wheels` with what that names.
set -eu
cd "$(dirname "$0")"

python3 -m venv /opt/venv
offline=''
[ -d wheels ] && offline='--no-index --find-links=wheels'
# shellcheck disable=SC2086 - two options or none
/opt/venv/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes $offline -r requirements.lock

# the number by which files on disks belong to people; berth-box says the same
grep -q '^dev:' /etc/passwd || useradd --uid 1081 --user-group --create-home --shell /bin/bash --password '*' dev
chown -R dev:dev /opt/venv # so that people can install into it

# each box, or disk, has a host key of its own
rm -f /etc/ssh/ssh_host_*
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
