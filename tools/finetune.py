"""Fine-tune a backbone: call the training tool that mmdetection or mmsegmentation brings."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.finetune import main

        main()
