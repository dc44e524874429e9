# The project's commands. Each recipe first brings .venv up to its lock, so `just` and `./just` are
# the same thing. Recipes run in the top directory: give paths as seen from there, or absolute.

set positional-arguments := true

python := ".venv/bin/python"

[private]
default:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# Make sample files and serve them: the place to begin
[group('use')]
run *ARGS: _runtime
    @.venv/bin/headgate samples .local/samples
    @exec .venv/bin/headgate serve --config config/local.toml "$@"

# Serve what you say: just serve --config config/s3.toml
[group('use')]
serve *ARGS: _runtime
    @exec .venv/bin/headgate serve "$@"

# Install what is optional too: HTTP/3, traces for OpenTelemetry
[group('use')]
extras: _runtime
    @deploy/tools/prepare extras

# Make a certificate for localhost in .local/, to try TLS and HTTP/2 with
[group('use')]
cert: _develop
    @{{ python }} -m deploy.tools.certificate .local

# All tests, with real servers and a real browser
[group('check')]
test *ARGS: _develop
    @deploy/tools/system-packages test
    @{{ python }} -m pytest -p tests.plugins.no_skips -n auto --maxprocesses 4 --dist loadfile "$@"

# The tests that start no server, no browser and no set-up
[group('check')]
test-fast *ARGS: _develop
    @{{ python }} -m pytest -p tests.plugins.no_skips -m "not servers and not browser and not environments" "$@"

# All tests, counting the branches they take; fails under the aim in pyproject.toml
[group('check')]
coverage *ARGS: _develop
    @deploy/tools/system-packages test
    @{{ python }} -m pytest -p tests.plugins.no_skips -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term:skip-covered "$@"

# Lint, format, types and import rules; changes nothing
[group('check')]
check: _develop
    .venv/bin/ruff check
    .venv/bin/ruff format --check
    {{ python }} -m mypy
    {{ python }} -c 'from importlinter.cli import lint_imports_command as run; run()'

# Known vulnerabilities in what the locks install
[group('check')]
audit: _maintain
    @{{ python }} -m deploy.tools.audit

# Put the code into the one format, and mend what ruff can
[group('change')]
format: _develop
    .venv/bin/ruff check --fix
    .venv/bin/ruff format

# Resolve the dependencies into deploy/lock/, nothing younger than a week: just lock --upgrade
[group('change')]
lock *ARGS: _maintain
    @{{ python }} -m deploy.tools.lock "$@"

# The tree in numbers, each beside what we aim at
[group('measure')]
shape: _develop
    @{{ python }} -m deploy.tools.shape

# Is this machine fit for production? just prod-check --config FILE; 1 if anything fails
[group('deploy')]
prod-check *ARGS: _runtime
    @.venv/bin/headgate check --production "$@"

# Build the container image: just container --base python:3.13-alpine@sha256:…
[group('deploy')]
container *ARGS: _runtime
    @{{ python }} -m deploy.tools.container build "$@"

# Build the image on a base made of Debian's packages, and try it: confined, healthy, drained
[group('deploy')]
container-check *ARGS: _develop
    @deploy/tools/system-packages container
    @{{ python }} -m deploy.tools.container check "$@"

# Apply an overlay to the cluster: just k8s-deploy production, with --dry-run to change nothing
[group('deploy')]
k8s-deploy *ARGS: _develop
    @{{ python }} -m deploy.tools.k8s deploy "$@"

# Show what applying an overlay would change in the cluster: just k8s-diff production
[group('deploy')]
k8s-diff *ARGS: _develop
    @{{ python }} -m deploy.tools.k8s diff "$@"

# Write the dashboard and the rules for Kubernetes of their sources
[group('deploy')]
monitoring: _runtime
    @{{ python }} -m deploy.tools.monitoring

# Write the bill of materials (CycloneDX): just sbom --image IMAGE FILE
[group('deploy')]
sbom *ARGS: _maintain
    @{{ python }} -m deploy.tools.sbom "$@"

# Load Headgate with k6: just load files; --target URL for one that runs already; --short
[group('measure')]
load *ARGS: _develop
    @{{ python }} -m tests.load.run "$@"

# One page with the plots of several load runs side by side: just load-report RUN…
[group('measure')]
load-report *ARGS: _develop
    @{{ python }} -m tests.load.report "$@"

# What differs between two load runs; exits 1 on a regression beyond the noise: just load-compare A B
[group('measure')]
load-compare *ARGS: _develop
    @{{ python }} -m tests.load.compare "$@"

# The ordinary load: smoke, files and ranges
[group('measure')]
load-test *ARGS: _develop
    @{{ python }} -m tests.load.run smoke files ranges "$@"

# Load on every endpoint, the public's and the operator's
[group('measure')]
load-test-api *ARGS: _develop
    @{{ python }} -m tests.load.run api "$@"

# Load of downloads, whole and by ranges
[group('measure')]
load-test-file-ops *ARGS: _develop
    @{{ python }} -m tests.load.run files ranges "$@"

# More downloads at once than are welcome
[group('measure')]
stress-test *ARGS: _develop
    @{{ python }} -m tests.load.run stress "$@"

# A profile of the live process under load, in the run's folder
[group('measure')]
profile *ARGS: _develop
    @{{ python }} -m tests.load.run files --profile 20 "$@"

# Headgate beside nginx, Varnish, Caddy and rclone, in one run of about ten minutes: --only stampede
[group('measure')]
bench *ARGS: _develop
    @deploy/tools/system-packages bench
    @{{ python }} -m tests.benchmarks.peers "$@"

# Single functions, timed; --save keeps a run as the baseline, --compare sets this one beside it
[group('measure')]
bench-micro *ARGS: _develop
    @{{ python }} -m tests.benchmarks.micro "$@"

# Remove all that was made here: environment, samples, caches
[group('change')]
[confirm("Remove .venv, .local and all caches? [y/N]")]
clean:
    rm -rf .venv .local build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache *.egg-info
    find proxy tests deploy -name __pycache__ -type d -prune -exec rm -rf {} +

[private]
_runtime:
    @deploy/tools/prepare runtime

[private]
_develop:
    @deploy/tools/prepare develop

[private]
_maintain:
    @deploy/tools/prepare maintain
