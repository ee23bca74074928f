"""What the flow tests share: real parts started on free ports, stopped by pid, and the readers of what comes out."""
