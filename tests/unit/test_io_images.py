"""Image files: one round-trip contract for all formats, and damaged files refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pxm2mesh.errors import DataError, UsageError
from pxm2mesh.io.images import open_volume, read_grey, read_image, read_volume, write_volume
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


def test_a_file_far_larger_than_memory_is_cropped_and_binned(tmp_path: Path) -> None:
    """8 TB (with nothing written in most of it): catches any step that touches more than it is asked for."""
    edge = 20000
    path = tmp_path / "scan.raw"
    about = {"shape": [edge] * 3, "dtype": "uint8", "spacing": "50 nm"}
    path.with_name("scan.raw.json").write_text(json.dumps(about))
    with path.open("wb") as stream:
        try:
            stream.truncate(edge**3)
        except OSError:
            pytest.skip("this file system has no files of 8 TB")
        stream.seek((12345 * edge + 777) * edge + 4242)
        stream.write(bytes([8, 16]))
    part = read_grey(path, crop=((4240, 776, 12344), (4246, 778, 12346)))
    assert part.values[2:4, 1, 1].tolist() == [8, 16]
    np.testing.assert_allclose(part.origin, np.array([4240, 776, 12344]) * 0.05)
    binned = read_grey(path, crop=((4240, 776, 12344), (4246, 778, 12346)), bin=2)
    assert binned.values.max() == 3.0
    disk = open_volume(path)
    assert disk.slow_axis == 2
    assert "20000 × 20000 × 20000" in repr(disk)


@pytest.mark.parametrize("suffix", [*KEEPS_ALL, ".npy", "folder"])
def test_a_part_is_the_part_of_the_whole_in_every_format(suffix: str, tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 60000, (11, 13, 17)).astype(np.uint16)
    path = tmp_path / f"scan{suffix}"
    if suffix == "folder":
        path.mkdir()
        for z in range(17):
            tifffile.imwrite(path / f"s{z:03}.tif", values[:, :, z].T, compression="zlib" if z % 2 else None)
    else:
        write_volume(GreyVolume(values, SPACING), path)
    disk = open_volume(path, spacing=SPACING)
    np.testing.assert_array_equal(np.asarray(disk.values), values)
    part = disk.crop((1, 2, 3), (9, 12, 14))
    np.testing.assert_array_equal(part.load().values, values[1:9, 2:12, 3:14])  # type: ignore[union-attr]
    binned = read_grey(path, spacing=SPACING, crop=((1, 2, 3), (9, 12, 14)), bin=3)
    means = values[1:7, 2:11, 3:12].reshape(2, 3, 3, 3, 3, 3).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(binned.values, means, rtol=1e-6)
    np.testing.assert_allclose(binned.spacing, np.array(SPACING) * 3)


def test_a_slice_that_is_not_asked_for_is_not_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 250, (5, 40, 40), dtype=np.uint8)
    for number, values in enumerate(noise):
        tifffile.imwrite(tmp_path / f"s{number}.tif", values, compression="zlib")
    content = bytearray((tmp_path / "s4.tif").read_bytes())
    content[300:600] = bytes(300)
    (tmp_path / "s4.tif").write_bytes(content)
    part = read_grey(tmp_path, spacing="1 um", crop=((0, 0, 0), (40, 40, 4)))
    np.testing.assert_array_equal(part.values, noise[:4].transpose(2, 1, 0))
    with pytest.raises(DataError, match="cannot be read"):
        read_grey(tmp_path, spacing="1 um")


def test_labels_are_binned_by_majority_and_the_lower_label_wins_a_tie(tmp_path: Path) -> None:
    labels = np.zeros((5, 2, 2), np.uint8)
    labels[0], labels[1, 0, 0] = 2, 1
    labels[2], labels[3] = 2, 1
    volume = LabelVolume(labels, PHASES, "1 um")
    assert volume.binned(2).labels.ravel().tolist() == [2, 1]
    write_volume(volume, tmp_path / "a.h5")
    assert read_volume(tmp_path / "a.h5", bin=2).digest() == volume.binned(2).digest()
    with pytest.raises(UsageError, match="bin 3 does not fit"):
        read_volume(tmp_path / "a.h5", bin=3)


def test_the_finest_level_of_an_ome_zarr_is_read_with_all_its_scales(tmp_path: Path) -> None:
    import zarr

    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    fine = np.random.default_rng(0).integers(0, 9, (1, 1, 6, 8, 10)).astype(np.uint8)
    for name, values in (("s0", fine), ("s1", fine[..., ::2, ::2, ::2])):
        group.create_array(name, data=values)
    scales = [{"type": "scale", "scale": [1, 1, 3 * f, 2 * f, f]} for f in (1, 2)]
    sets = [{"path": f"s{k}", "coordinateTransformations": [scales[k]]} for k in (0, 1)]
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "nanometer"} for a in "zyx"]
    outer = [{"type": "scale", "scale": [1, 1, 100, 100, 100]}]
    about = {"version": "0.4", "axes": axes, "datasets": sets, "coordinateTransformations": outer}
    group.attrs["multiscales"] = [about]
    grey = read_grey(tmp_path / "a.zarr")
    np.testing.assert_array_equal(grey.values, fine[0, 0].transpose(2, 1, 0))
    np.testing.assert_allclose(grey.spacing, [0.1, 0.2, 0.3])


def test_data_exchange_is_found_among_darks_and_flats(tmp_path: Path) -> None:
    import h5py

    data = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        for name, values in (("data", data), ("data_dark", data[:1]), ("data_white", data[:2])):
            file[f"exchange/{name}"] = values
    np.testing.assert_array_equal(
        read_grey(tmp_path / "scan.h5", spacing="1 um").values, data.transpose(2, 1, 0)
    )


def test_real_tomograms_are_read(real_data: Path) -> None:
    path = real_data / "nmc_ct_cbd_nrel" / "nmc_pore0_am1_cbd2.tif"
    volume = read_volume(path, {"pore": 0, "NMC": 1, "CBD": 2}, spacing="398 nm")
    assert volume.shape == (301, 301, 251)
    counts = volume.voxel_counts()
    assert counts["NMC"] / volume.labels.size == pytest.approx(0.49945, abs=5e-6)
