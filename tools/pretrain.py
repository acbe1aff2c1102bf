"""Pretrain a ViT or Swin with DINO, MoBY or MoCo-v3, with or without SelfPatch."""

from selfpatch.commands.pretrain import main

if __name__ == "__main__":
    main()
