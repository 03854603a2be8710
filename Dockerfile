# pxm2mesh with DOLFINx, MPI and off-screen drawing:
#   docker build -t pxm2mesh .
#   docker run --rm -v "$PWD":/data pxm2mesh run study.toml --np 4
FROM dolfinx/dolfinx:v0.10.0

RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgl1 libgl1-mesa-dri libglu1-mesa libosmesa6 libxcursor1 \
       libxft2 libxinerama1 libxrender1 \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/pxm2mesh
RUN python3 -m pip install --no-cache-dir /opt/pxm2mesh && rm -rf /opt/pxm2mesh

# Ranks and threads share the cores; containers run as root, which Open MPI has to be told is meant.
ENV OMP_NUM_THREADS=1 PYVISTA_OFF_SCREEN=true OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
WORKDIR /data
ENTRYPOINT ["pxm2mesh"]
CMD ["--help"]
