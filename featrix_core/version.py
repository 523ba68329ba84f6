"""The version that bundles, images and packages carry."""

VERSION = "0.1.0"
