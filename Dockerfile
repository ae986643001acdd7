# One image for everything of ours in the stack: the service, Ray's head and workers, and MLflow's server.
# What does not change often comes first: a change in the source installs one small wheel and no torch.

# What pyproject.toml depends on, as a file of its own: other changes to pyproject.toml do not install anything again.
FROM python:3.11-slim-bookworm AS requirements
COPY pyproject.toml .
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
    print(*project['dependencies'], *project['optional-dependencies']['all'], sep='\n')" >requirements.txt

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY trainables trainables
COPY search_service search_service
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim-bookworm
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1
WORKDIR /opt/search-service
# CPUs: the index of torch's builds without CUDA. GPUs: https://pypi.org/simple (docker-compose.gpu.yml).
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY constraints.txt .
# torch itself alone comes from there; what it needs is in the next step, from PyPI.
RUN pip install --no-deps --index-url "$TORCH_INDEX" -c constraints.txt torch
COPY --from=requirements requirements.txt .
RUN pip install -c constraints.txt -r requirements.txt

# The uid is fixed, so that volumes belong to the same user in every container; a new volume takes over whose the folder is.
RUN useradd --uid 10001 --create-home search \
    && install -d -o search -g search /var/lib/search-service /var/lib/mlflow
# A node that is told to stop would wait 30 s for what it runs; a study goes on after any stop.
ENV MLFLOW_DISABLE_TELEMETRY=true \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0 \
    OMP_NUM_THREADS=1 \
    GIT_PYTHON_REFRESH=quiet

COPY deploy/entrypoint.py deploy/healthy.py ./
COPY configs configs
COPY --from=wheel /wheel /wheel
RUN pip install --no-deps /wheel/*.whl
USER search
ENTRYPOINT ["/opt/search-service/entrypoint.py"]
CMD ["search-service", "serve"]
