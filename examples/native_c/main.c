/* Calls a function that tpc compiled, and compares it with plain loops; README.md says how. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "rbf.h"

int main(void) {
    enum { n = 500, m = 300, d = 3 };
    double *X = malloc(sizeof(double) * n * d), *Y = malloc(sizeof(double) * m * d);
    double *v = malloc(sizeof(double) * m), *sum = malloc(sizeof(double) * n);
    const double width = 0.8;
    for (int i = 0; i < n * d; i++) X[i] = sin(0.37 * i);
    for (int i = 0; i < m * d; i++) Y[i] = cos(0.73 * i);
    for (int j = 0; j < m; j++) v[j] = 1.0 / (j + 1);

    /* Sizes come first, in the order of the header; one workspace serves all calls at these sizes. */
    int64_t bytes = rbf_workspace(d, m, n);
    void *workspace = bytes == 0 ? NULL : aligned_alloc(64, (bytes + 63) / 64 * 64);
    int64_t status = rbf(d, m, n, X, Y, v, &width, sum, workspace);
    if (status != 0) {
        fprintf(stderr, "%s\n", rbf_error(status));
        return 1;
    }

    double largest = 0.0;
    for (int i = 0; i < n; i++) {
        double expected = 0.0;
        for (int j = 0; j < m; j++) {
            double square = 0.0;
            for (int k = 0; k < d; k++) square += pow(X[i * d + k] - Y[j * d + k], 2);
            expected += exp(-square / (2 * width * width)) * v[j];
        }
        largest = fmax(largest, fabs(sum[i] - expected));
    }
    printf("sum[0] = %.6f, the largest error is below 1e-12: %s\n", sum[0], largest < 1e-12 ? "yes" : "no");
    free(workspace), free(X), free(Y), free(v), free(sum);
    return largest < 1e-12 ? 0 : 1;
}
