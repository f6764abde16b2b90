# All stores and notices, from the packages of requirements.lock and nothing else.
#
#   docker build -t nocturna-rotator .
#
# BASE is any image with Python ≥ 3.11 and its venv module: another Python, a mirror, or a digest
# (python:3.13-slim@sha256:…) for builds that are the same tomorrow.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
# pip stays in this stage, in a virtualenv of its own; the other one is what is shipped.
RUN python3 -m venv /pip && python3 -m venv --without-pip /opt/rotator
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock requirements-build.lock ./
# Wheels only, each one by its hash: nothing is compiled, and no package runs code of its own here.
RUN /pip/bin/pip install --only-binary :all: --require-hashes -r requirements-build.lock \
    && /pip/bin/pip --python /opt/rotator/bin/python3 install --no-compile --no-deps \
        --only-binary :all: --require-hashes -r requirements.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY rotator rotator
COPY backends backends
# What `rotator init` fills in.
COPY cron cron
COPY helm helm
COPY examples examples
RUN /pip/bin/hatchling build --target wheel --directory /wheel \
    && /pip/bin/pip --python /opt/rotator/bin/python3 install --no-compile --no-deps --no-index \
        /wheel/*.whl
# A read-only root cannot keep what Python compiles at a start, so everything is compiled now. No
# source is compared at a start: these files belong together whatever their times say.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/rotator/lib

FROM ${BASE}
# Official images of Python have its own library uncompiled. Then out with the base's pip, and with
# what would run as root whoever starts it. /token is where a volume may be mounted: it then
# belongs to user 10001, and to group 0, in which OpenShift puts its arbitrary users.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash -x '/(site|dist)-packages/|/tests?/' \
        "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf /usr/local/lib/python3*/site-packages/* /usr/local/bin/pip* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && install -d -o 10001 -g 0 -m 770 /token
COPY --from=build /opt/rotator /opt/rotator
# HOME must be a folder that every user may enter. Nothing is compiled at a start; see above. glibc
# would keep what large answers took, for each thread anew.
ENV PATH=/opt/rotator/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 MALLOC_MMAP_THRESHOLD_=131072
# ./rotator.toml is looked for here.
WORKDIR /etc/nocturna-rotator
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
ENTRYPOINT ["rotator"]

ARG VERSION=unreleased
ARG REVISION=unknown
LABEL org.opencontainers.image.title="nocturna-rotator" \
    org.opencontainers.image.description="Keeps the Nocturna API service tokens of your bots alive" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
