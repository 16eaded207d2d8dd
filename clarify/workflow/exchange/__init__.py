"""In and out: features, predictions, tables, bundles, ONNX."""
