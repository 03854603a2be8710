"""Files: images in `images`, meshes in `meshes`, surfaces in `surfaces`."""
