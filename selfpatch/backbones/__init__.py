"""Any checkpoint -> one backbone file -> a trunk, a timm folder, an ONNX model."""
