"""The optimiser of the layers' matrices. In: matrices with gradients. Out: matrices moved along their orthogonalised momentum.

Follows Keller Jordan's Muon (https://kellerjordan.github.io/posts/muon/): the momentum of a matrix is replaced by the nearest orthogonal
one, by five Newton-Schulz steps in bfloat16; its size is made that of an AdamW step as in Moonlight (arXiv:2502.16982, section 2.2), so
that one learning rate serves both. Matrices of one shape go together; each worker does its share of them.
"""

import torch
import torch.distributed as dist

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices, steps=5):
    """The nearest orthogonal matrices of [count, rows, columns], singular values between about 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).float()


class Muon:
    def __init__(self, parameters, decay=0.01, momentum=0.95):
        self.decay, self.momentum, self.rate = decay, momentum, 0.0
        self.groups = {}
        for p in parameters:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buffers = {shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.groups.items()}

    @torch.no_grad()
    def step(self):
        workers, worker = (dist.get_world_size(), dist.get_rank()) if dist.is_initialized() else (1, 0)
        updates = []
        for shape, group in self.groups.items():
            gradients, buffer = torch.stack([p.grad for p in group]), self.buffers[shape]
            buffer.mul_(self.momentum).add_(gradients)
            wanted = gradients.add(buffer, alpha=self.momentum)
            update = torch.zeros_like(wanted)
            update[worker::workers] = orthogonal(wanted[worker::workers])
            updates.append(update)
        if workers > 1:
            flat = torch.cat([update.flatten() for update in updates])
            dist.all_reduce(flat)
            updates = [part.view_as(update) for part, update in zip(flat.split([u.numel() for u in updates]), updates)]
        for (shape, group), update in zip(self.groups.items(), updates):
            size = 0.2 * max(shape) ** 0.5
            torch._foreach_mul_(group, 1 - self.rate * self.decay)
            torch._foreach_add_(group, list(update.unbind()), alpha=-self.rate * size)

    def state_dict(self):
        return {"x".join(map(str, shape)): buffer for shape, buffer in self.buffers.items()}

    def load_state_dict(self, state):
        for shape, buffer in self.buffers.items():
            buffer.copy_(state["x".join(map(str, shape))])
