"""Other people's arrays and layers: a package per friend, which alone imports that friend."""
