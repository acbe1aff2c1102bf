"""Pretrain a ViT or Swin with DINO, MoBY or MoCo-v3, with or without SelfPatch."""

from selfpatch.errors import exit_with_sentence

if __name__ == "__main__":
    with exit_with_sentence():
        from selfpatch.commands.pretrain import main

        main()
