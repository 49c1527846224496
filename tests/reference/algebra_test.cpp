#include "tests/reference/algebra.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/golden.h"
#include "tests/reference/matrix.h"
#include "tests/reference/trajectories.h"

namespace muonlab::reference {
namespace {

Matrix rotation(double angle) {
  return {
      2,
      2,
      {std::cos(angle), -std::sin(angle), std::sin(angle), std::cos(angle)}};
}

TEST(Algebra, EigenvectorsRebuildTheMatrix) {
  const Matrix g = golden_gradients(4).back();
  const Matrix a = multiply(g, transpose(g));  // of rank 2
  const Eigen e = jacobi_eigen(a);
  Matrix scaled = e.vectors;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) scaled.at(i, j) *= e.values[j];
  }
  EXPECT_LT(distance(multiply(scaled, transpose(e.vectors)), a), kExact);
  EXPECT_LT(distance(multiply(transpose(e.vectors), e.vectors), identity(3)),
            kExact);
  EXPECT_GT(e.values[0], e.values[1]);
  EXPECT_NEAR(e.values[2], 0, kExact);
}

TEST(Algebra, HouseholderKeepsTheSpan) {
  const Matrix g = golden_gradients(1).front();
  const Matrix q = householder_q(g);
  EXPECT_LT(distance(multiply(transpose(q), q), identity(2)), kExact);
  EXPECT_LT(distance(multiply(q, multiply(transpose(q), g)), g), kExact);
  const Matrix r = multiply(transpose(q), g);
  EXPECT_NEAR(r.at(1, 0), 0, kExact);  // triangular
  const Matrix dependent(3, 2, {1, 2, 2, 4, -1, -2});
  const Matrix p = householder_q(dependent);
  EXPECT_LT(distance(multiply(transpose(p), p), identity(2)), kExact);
  EXPECT_EQ(distance(householder_q(Matrix(3, 3)), identity(3)), 0);
}

TEST(Algebra, PolarFactorTurnsAlong) {
  const Matrix g = golden_gradients(1).front();
  const Matrix q = rotation(0.7);
  EXPECT_LT(distance(polar_factor(transpose(g)), transpose(polar_factor(g))),
            kExact);
  EXPECT_LT(
      distance(polar_factor(multiply(g, q)), multiply(polar_factor(g), q)),
      kExact);
  EXPECT_EQ(
      distance(polar_factor({2, 2, {-3, 0, 0, .5}}), {2, 2, {-1, 0, 0, 1}}), 0);
}

}  // namespace
}  // namespace muonlab::reference
