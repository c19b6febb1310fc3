"""What `sipx check` finds: the kernel's own areas, and running those of plugins."""
