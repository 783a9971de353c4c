"""Sums of products from public issue threads, and a long chain. Sparse operands are given dense, with their density."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.algebra.case import Case, Group
from benchmarks.algebra.chain import Factor, chain
from benchmarks.algebra.contraction import contraction

Array = NDArray[Any]


def hyper_index(X: Array, Y: Array) -> Array:
    """Letters of one operand are summed, those of both and the result lead a batch, and the rest is a product."""
    left = np.einsum("kdyzBvhwcqfnbeg->bvzwykndhB", X)
    right = np.einsum("htiAzxobvudBw->bvzwdhBuixo", Y)
    batch, ykn, dhB, uixo = left.shape[:4], left.shape[4:7], left.shape[7:], right.shape[7:]
    count = int(np.prod(batch))
    product = left.reshape(count, -1, int(np.prod(dhB))) @ right.reshape(count, int(np.prod(dhB)), -1)
    return np.einsum("bvzwyknuixo->ywukbnvizxo", product.reshape(*batch, *ykn, *uixo))


def ring(X: Array, Y: Array, Z: Array, W: Array) -> Any:
    half = np.tensordot(X, Y, (2, 0))  # a b f d
    return np.vdot(np.tensordot(half, Z, ((1, 3), (1, 0))), W.T)  # a f e


def sparse_times(X: Array, Y: Array) -> Array:
    from scipy.sparse import csr_array

    i, j, k = X.shape
    return (csr_array(X.reshape(i, j * k)).T @ Y).T.reshape(-1, j, k)


def sparse_product(X: Array, Y: Array) -> Array:
    from scipy.sparse import csr_array

    return (csr_array(X) @ csr_array(Y)).toarray()


def long_chain(count: int) -> Case:
    """A chain with sizes drawn between 10 and 200."""
    rng = random.Random(0)
    sizes = {f"n{i}": rng.randint(10, 200) for i in range(count + 1)}
    factors = [Factor(f"A{i}", f"n{i}", f"n{i + 1}") for i in range(count)]
    return chain(f"contractions/chain-{count}", f"a chain of {count} matrices", factors, sizes)


GROUP = Group(
    "contractions",
    "issues of numpy, opt_einsum, Finch and sparse",
    (
        contraction(
            "contractions/hyper-index",
            "letters in both operands and the result (numpy 22604)",
            "kdyzBvhwcqfnbeg,htiAzxobvudBw->ywukbnvizxo",
            "k=5 d=4 y=3 z=4 B=3 v=4 h=2 w=4 c=2 q=5 f=2 n=5 b=3 e=2 g=4 t=4 i=5 A=5 x=4 o=4 u=4",
            expert=hyper_index,
            written_up_to=3,
        ),
        contraction(
            "contractions/ring",
            "a ring of four (opt_einsum 8)",
            "abc,cfd,dbe,efa->",
            "a=20 b=20 c=20 d=20 e=20 f=20",
            expert=ring,
        ),
        contraction(
            "contractions/six",
            "six operands (opt_einsum 153)",
            "cq,cqje,rji,cqik,cqlf,slk->cresf",
            "c=1 q=4 j=3 e=4 r=3 i=6 k=6 l=3 f=4 s=3",
        ),
        contraction(
            "contractions/pair",
            "two summed letters (numpy 9425)",
            "ijk,jkl->il",
            "i=100 j=100 k=100 l=100",
            expert=lambda X, Y: X.reshape(len(X), -1) @ Y.reshape(-1, Y.shape[2]),
        ),
        contraction(
            "contractions/three",
            "three small matrices (numpy 8301)",
            "ij,jk,kl->il",
            "i=10 j=10 k=10 l=10",
            expert=lambda X, Y, Z: X @ Y @ Z,
        ),
        contraction(
            "contractions/sparse-tensor",
            "a sparse tensor times a matrix (Finch 630)",
            "ijk,in->njk",
            "i=700 j=700 k=700 n=700",
            facts={"X": "sparse(0.0005)"},
            expert=sparse_times,
            flops=lambda ni, nj, nk, nn: 2 * 0.0005 * ni * nj * nk * nn,
        ),
        contraction(
            "contractions/sparse-product",
            "sparse times sparse (sparse 702, 100,000 rows there, and as many entries a row here)",
            "ik,kj->ij",
            "i=2000 k=2000 j=2000",
            facts={"X": "sparse(0.0005)", "Y": "sparse(0.0005)"},
            expert=sparse_product,
            flops=lambda ni, nk, nj: 2 * 0.0005**2 * ni * nk * nj,
        ),
        long_chain(100),
    ),
)
