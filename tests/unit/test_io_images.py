"""Image files: one round-trip contract for all formats, and damaged files refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.io.images import read_grey, read_image, read_volume, write_volume
from pxm2mesh.phases import Phase, PhaseTable
from pxm2mesh.volume import GreyVolume, LabelVolume

PHASES = PhaseTable(
    [Phase(0, "void"), Phase(1, "NMC", material="NMC811"), Phase(2, "LPSCl", colour="#112233")]
)
SPACING = (0.4, 0.5, 1.25)
ORIGIN = (1.0, -2.0, 3.5)
KEEPS_ALL = [".tif", ".npz", ".raw", ".h5", ".vti", ".nrrd", ".nii", ".nii.gz", ".zarr"]


@pytest.fixture
def volume() -> LabelVolume:
    """No two axes alike, so that a swapped one shows."""
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6))
    return LabelVolume(labels, PHASES, SPACING, ORIGIN)


@pytest.mark.parametrize("suffix", KEEPS_ALL)
def test_what_is_written_is_read_back_with_spacing_origin_and_phases(
    volume: LabelVolume, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    write_volume(volume, path)
    back = read_volume(path)
    assert np.array_equal(back.labels, volume.labels)
    assert back.labels.dtype == volume.labels.dtype
    assert back.phases == volume.phases
    np.testing.assert_allclose(back.spacing, SPACING, rtol=1e-12)
    np.testing.assert_allclose(back.origin, ORIGIN, rtol=1e-12)
    assert {p.name for p in tmp_path.iterdir()} <= {path.name, f"{path.name}.json"}


@pytest.mark.parametrize("suffix", [*KEEPS_ALL, ".npy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_values_survive_in_every_format(tmp_path: Path, suffix: str, dtype: type) -> None:
    values = np.random.default_rng(1).uniform(0, 250, (3, 4, 5)).astype(dtype)
    write_volume(GreyVolume(values, SPACING), tmp_path / f"scan{suffix}")
    back = read_grey(tmp_path / f"scan{suffix}", spacing=SPACING)
    assert np.array_equal(back.values, values)
    assert back.values.dtype == values.dtype


def test_the_same_volume_gives_the_same_bytes(volume: LabelVolume, tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_volume(volume, tmp_path / name)
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_particle_ids_are_kept_in_npz(volume: LabelVolume, tmp_path: Path) -> None:
    ids = (volume.labels == 1).astype(np.int32) * 7
    write_volume(LabelVolume(volume.labels, PHASES, SPACING, particles=ids), tmp_path / "p.npz")
    back = read_volume(tmp_path / "p.npz")
    assert back.particles is not None
    assert np.array_equal(back.particles, ids)


def test_slices_stack_along_z_with_y_down_and_x_across(tmp_path: Path) -> None:
    """Catches a swapped axis: the page is z, the row y, the column x."""
    stack = np.zeros((3, 4, 5), np.uint8)
    stack[2, 1, 4] = 1
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    volume = read_volume(tmp_path / "a.tif", {"void": 0, "NMC": 1}, spacing="1 um")
    assert np.argwhere(volume.labels).tolist() == [[4, 1, 2]]


def test_a_folder_of_slices_is_stacked_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (9, 10, 11):
        tifffile.imwrite(tmp_path / f"slice_{number}.tif", np.full((4, 5), number, np.uint8))
    (tmp_path / "notes.txt").write_text("by hand")
    values = read_grey(tmp_path, spacing="1 um").values
    assert values.shape == (5, 4, 3)
    assert values[0, 0].tolist() == [9, 10, 11]


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    for number in (1, 2, 4, 5):
        tifffile.imwrite(tmp_path / f"s{number:03}.tif", np.zeros((4, 5), np.uint8))
    with pytest.raises(DataError, match=r"jump from s002\.tif to s004\.tif"):
        read_grey(tmp_path, spacing="1 um")


def test_slices_of_unequal_size_or_type_are_named(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s1.tif", np.zeros((4, 5), np.uint8))
    tifffile.imwrite(tmp_path / "s2.tif", np.zeros((4, 6), np.uint8))
    with pytest.raises(DataError, match=r"s2\.tif has 6 × 4 pixels"):
        read_grey(tmp_path, spacing="1 um")
    tifffile.imwrite(tmp_path / "s2.tif", np.zeros((4, 5), np.uint16))
    with pytest.raises(DataError, match="unequal type"):
        read_grey(tmp_path, spacing="1 um")


def test_a_folder_without_slices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no"):
        read_grey(tmp_path, spacing="1 um")


def test_imagej_and_ome_spacings_are_understood(tmp_path: Path) -> None:
    stack = np.zeros((3, 4, 5), np.uint8)
    tifffile.imwrite(
        tmp_path / "ij.tif",
        stack,
        imagej=True,
        resolution=(2.5, 2.5),
        metadata={"spacing": 1.25, "unit": "um", "axes": "ZYX"},
    )
    np.testing.assert_allclose(read_grey(tmp_path / "ij.tif").spacing, [0.4, 0.4, 1.25], rtol=1e-6)
    tifffile.imwrite(
        tmp_path / "o.ome.tif",
        stack,
        ome=True,
        metadata={
            "axes": "ZYX",
            "PhysicalSizeX": 400,
            "PhysicalSizeXUnit": "nm",
            "PhysicalSizeY": 500,
            "PhysicalSizeYUnit": "nm",
            "PhysicalSizeZ": 0.6,
            "PhysicalSizeZUnit": "µm",
        },
    )
    np.testing.assert_allclose(read_grey(tmp_path / "o.ome.tif").spacing, [0.4, 0.5, 0.6])


def test_the_dots_per_inch_of_a_plain_tiff_are_not_taken_for_a_spacing(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 4, 5), np.uint8), resolution=(72, 72), resolutionunit=2)
    with pytest.raises(UsageError, match="does not state its voxel spacing"):
        read_grey(tmp_path / "a.tif")


def test_a_given_spacing_wins_and_the_difference_is_logged(
    volume: LabelVolume, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_volume(volume, tmp_path / "a.tif")
    back = read_volume(tmp_path / "a.tif", spacing="2 um")
    assert back.spacing.tolist() == [2, 2, 2]
    assert "is used" in caplog.text


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.97])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_truncated_tiff_is_refused(tmp_path: Path, keep: float, compression: str | None) -> None:
    noise = np.random.default_rng(0).integers(0, 3, (20, 30, 30)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", noise, compression=compression)
    whole = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(DataError, match=r"a\.tif"):
        read_grey(tmp_path / "a.tif", spacing="1 um")


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".nrrd", ".nii", ".npy"])
def test_a_truncated_file_of_any_format_is_refused(volume: LabelVolume, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_volume(volume, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(DataError, match="a"):
        read_volume(path, PHASES, spacing="1 um")


def test_labels_that_are_not_labels_are_refused_by_file_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((3, 3, 3), 0.5))
    with pytest.raises(DataError, match=r"a\.npy: labels must be whole numbers"):
        read_volume(tmp_path / "a.npy", {"NMC": 1}, spacing="1 um")
    np.save(tmp_path / "b.npy", np.full((3, 3, 3), np.nan))
    with pytest.raises(DataError, match=r"b\.npy: labels must be whole numbers"):
        read_volume(tmp_path / "b.npy", {"NMC": 1}, spacing="1 um")
    np.save(tmp_path / "c.npy", np.full((3, 3, 3), 9))
    with pytest.raises(DataError, match=r"c\.npy: label 9 has no phase"):
        read_volume(tmp_path / "c.npy", {"NMC": 1}, spacing="1 um")


def test_files_that_are_not_there_or_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_image(tmp_path / "a.tif")
    (tmp_path / "a.tff").write_bytes(b"x")
    with pytest.raises(UsageError, match="unknown image format"):
        read_image(tmp_path / "a.tff")
    (tmp_path / "e.tif").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_image(tmp_path / "e.tif")


def test_one_of_several_arrays_is_named_behind_two_colons(tmp_path: Path) -> None:
    import h5py

    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = np.zeros((3, 4, 5), np.uint8)
        file["seg/labels"] = np.ones((3, 4, 5), np.uint8)
    with pytest.raises(DataError, match="holds 2 volumes"):
        read_image(tmp_path / "a.h5")
    with pytest.raises(DataError, match="no volume 'x'"):
        read_image(f"{tmp_path / 'a.h5'}::/x")
    assert read_image(f"{tmp_path / 'a.h5'}::/seg/labels").values.shape == (5, 4, 3)


def test_a_raw_file_needs_a_sidecar_that_fits(tmp_path: Path) -> None:
    np.arange(24, dtype=">u2").tofile(tmp_path / "a.raw")
    with pytest.raises(UsageError, match="no sidecar"):
        read_image(tmp_path / "a.raw")
    about = {"shape": [2, 3, 5], "dtype": ">u2", "spacing": "400 nm"}
    (tmp_path / "a.raw.json").write_text(json.dumps(about))
    with pytest.raises(DataError, match="has 48 bytes"):
        read_image(tmp_path / "a.raw")
    (tmp_path / "a.raw.json").write_text(json.dumps(about | {"shape": [2, 3, 4]}))
    grey = read_grey(tmp_path / "a.raw")
    assert grey.values[1, 0, 0] == 1  # x runs fastest
    assert grey.values[0, 1, 0] == 2
    np.testing.assert_allclose(grey.spacing, 0.4)


def test_a_crop_keeps_its_place_in_space(volume: LabelVolume, tmp_path: Path) -> None:
    write_volume(volume, tmp_path / "a.tif")
    part = read_volume(tmp_path / "a.tif", crop=((1, 2, 3), (4, 5, 6)))
    assert np.array_equal(part.labels, volume.labels[1:4, 2:5, 3:6])
    np.testing.assert_allclose(part.origin, np.array(ORIGIN) + np.array([1, 2, 3]) * SPACING)
    with pytest.raises(UsageError, match="does not fit"):
        read_volume(tmp_path / "a.tif", crop=((0, 0, 0), (9, 1, 1)))


def test_real_tomograms_are_read(real_data: Path) -> None:
    path = real_data / "nmc_ct_cbd_nrel" / "nmc_pore0_am1_cbd2.tif"
    volume = read_volume(path, {"pore": 0, "NMC": 1, "CBD": 2}, spacing="398 nm")
    assert volume.shape == (301, 301, 251)
    counts = volume.voxel_counts()
    assert counts["NMC"] / volume.labels.size == pytest.approx(0.49945, abs=5e-6)
