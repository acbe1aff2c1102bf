"""Write a checkpoint's trunk as a backbone file, as timm's folder or as an ONNX model."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.export_backbone import main

        main()
