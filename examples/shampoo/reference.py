"""Shampoo with one small matrix root per axis of the gradient (Gupta, Koren and Singer 2018)."""

import numpy as np
from scipy.special import log_softmax, softmax

STEPS = 20


def root(M):
    values, vectors = np.linalg.eigh(M)
    return vectors * values**-0.25 @ vectors.T


def train(X, labels, rate):
    Z = np.column_stack([(X - X.mean(0)) / X.std(0), np.ones(len(X))])
    T = np.eye(3)[labels]
    W, L, R, losses = np.zeros((3, Z.shape[1])), 0.01 * np.eye(3), 0.01 * np.eye(Z.shape[1]), []
    for _ in range(STEPS):
        G = (softmax(Z @ W.T, axis=1) - T).T @ Z / len(Z)
        L, R = L + G @ G.T, R + G.T @ G
        W = W - rate * root(L) @ G @ root(R)
        losses.append(-log_softmax(Z @ W.T, axis=1)[np.arange(len(Z)), labels].mean())
    return W, np.array(losses), L, R


def reference(X, labels, rate=0.5):
    W, losses, _, _ = train(X, labels, rate)
    return {"W": W, "loss": losses}


def tolerance(X, labels, rate=0.5):
    """The condition of kron(L, R) in every step; losses fall, and are compared with the first."""
    _, _, L, R = train(X, labels, rate)
    return 100 * STEPS * np.finfo(float).eps * np.linalg.cond(L) * np.linalg.cond(R)
