"""What mmdetection and mmsegmentation see of this package."""
