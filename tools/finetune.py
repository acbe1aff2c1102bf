"""Fine-tune a backbone: call the training tool that mmdetection or mmsegmentation brings."""

from selfpatch.commands.finetune import main

if __name__ == "__main__":
    main()
