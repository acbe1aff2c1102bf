"""Write a checkpoint's trunk as a backbone file, as timm's folder or as an ONNX model."""

from selfpatch.commands.export_backbone import main

if __name__ == "__main__":
    main()
