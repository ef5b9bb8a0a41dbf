# The image of all processes: `docker build -t omni-metal .`
#
# BASE needs Python 3.11 to 3.13 with its venv module, and the shell and tools of a small Debian.
# Where the build cannot reach a package index, put the wheels beside this file first, made with the same Python:
#     pip wheel --wheel-dir wheels . 'setuptools>=77'
# Where it cannot reach a mirror of Debian, put the package file that `omni-metal ipxe` names into a folder `ipxe`.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/omni-metal
# What we need changes less often than what we are.
COPY pyproject.toml wheel[s] wheels/
RUN python3 -c 'import tomllib; print(*tomllib.load(open("wheels/pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' >needs.txt \
    && if ls wheels/*.whl >/dev/null 2>&1; then printf '[install]\nno-index = true\nfind-links = /src/wheels\n' >/etc/pip.conf; fi \
    && /opt/omni-metal/bin/pip install --no-cache-dir --disable-pip-version-check --requirement needs.txt
COPY . .
RUN /opt/omni-metal/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps . \
    && /opt/omni-metal/bin/pip uninstall --quiet --yes pip
RUN if ls ipxe/*.deb >/dev/null 2>&1; then set -- --deb ipxe/*.deb; fi \
    && /opt/omni-metal/bin/omni-metal ipxe --state-dir=/opt/boot "$@"

FROM ${BASE}
# Volumes that are mounted on these two become the user's with them.
RUN groupadd --gid 10001 omni-metal \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/omni-metal omni-metal \
    && install -d -m 0700 -o omni-metal -g omni-metal /var/lib/omni-metal /lab
COPY --from=build /opt/omni-metal /opt/omni-metal
COPY --from=build /opt/boot/ipxe /usr/share/omni-metal/ipxe
COPY docker/works /usr/local/bin/works
ENV PATH=/opt/omni-metal/bin:$PATH \
    OMNI_METAL_STATE_DIR=/var/lib/omni-metal \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 50042 5555
ENTRYPOINT ["omni-metal"]
CMD ["run"]
