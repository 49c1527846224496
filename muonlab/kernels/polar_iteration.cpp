#include "muonlab/kernels/polar_iteration_internal.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace muonlab::kernels {

namespace {

constexpr std::size_t kFinishRows = kPolarFinishRows;

// Hands out parts of one piece of memory; without any, counts.
class Carver {
 public:
  explicit Carver(std::byte* memory) : memory_(memory) {}
  std::byte* take(std::size_t bytes) {
    std::byte* place = memory_ == nullptr ? nullptr : memory_ + used_;
    used_ += Workspace::rounded(bytes);
    return place;
  }
  Packed take(const PackedShape& shape) { return {shape, take(shape.bytes())}; }
  [[nodiscard]] std::size_t used() const noexcept { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

// All that an iteration keeps. X is (n, m) with n <= m: the matrix itself or,
// where it is tall, its transpose.
struct Buffers {
  Packed x_rows;     // X
  Packed x_columns;  // X^T
  Packed x_next;     // X^T of the step in work
  Packed master;     // X^T in float32 beside bfloat16
  Packed master_next;
  Packed gram;  // A or R
  Packed z;
  Packed q, q_next;
  Packed q_long;  // Q in the element of X
  Packed rz;
  double* partial_sums = nullptr;
  float* out = nullptr;
  std::size_t out_stride = 0;
  bool long_q = false;

  Buffers(const PolarJob& job, const PolarSchedule& schedule, Carver& carver) {
    const std::size_t n = std::min(job.rows, job.columns);
    const std::size_t m = std::max(job.rows, job.columns);
    const bool gram_form = schedule.form == PolarForm::kGram;
    const Element across = schedule.precision == PolarPrecision::kFloat32
                               ? Element::kFloat32
                               : Element::kBFloat16;
    const Element square = schedule.precision == PolarPrecision::kMixed
                               ? Element::kFloat32
                               : across;
    x_rows = carver.take(PackedShape(n, m, across));
    x_columns = carver.take(PackedShape(m, n, across));
    // X^T is read by all while the next is written.
    x_next = carver.take(PackedShape(m, n, across));
    if (schedule.precision == PolarPrecision::kBFloat16Master) {
      master = carver.take(PackedShape(m, n, Element::kFloat32));
      master_next = carver.take(PackedShape(m, n, Element::kFloat32));
    }
    const PackedShape shape(n, n, square);
    gram = carver.take(shape);
    z = carver.take(shape);
    if (gram_form) {
      q = carver.take(shape);
      q_next = carver.take(shape);
      rz = carver.take(shape);
      long_q = square != across;
      if (long_q) q_long = carver.take(PackedShape(n, n, across));
    }
    partial_sums = reinterpret_cast<double*>(
        carver.take(pack_parts(job.rows, job.columns) * sizeof(double)));
    out = job.out;
    out_stride = job.out_stride;
    if (out == nullptr) {
      out_stride = (job.columns + kPanel - 1) / kPanel * kPanel;
      out = reinterpret_cast<float*>(
          carver.take(job.rows * out_stride * sizeof(float)));
    }
  }
};

void add_target(Product& product, const ProductTarget& target) {
  product.targets[product.target_count++] = target;
}

class Iteration {
 public:
  Iteration(Team& team, const ProductTable& table, const PolarJob& job,
            const PolarSchedule& schedule, std::byte* memory,
            const ProductScratch& scratch)
      : team_(team),
        table_(table),
        job_(job),
        schedule_(schedule),
        scratch_(scratch),
        carver_(memory),
        b_(job, schedule, carver_) {}

  void run() {
    const double sum = pack_matrix(0);
    if (!std::isfinite(sum)) {
      fill(std::numeric_limits<float>::quiet_NaN());
    } else if (sum == 0) {
      fill(0);
    } else {
      normalise(sum);
      if (schedule_.form == PolarForm::kStandard) {
        standard();
      } else {
        gram();
      }
    }
    each_run(
        [this](std::size_t row, std::size_t rows) {
          job_.measure(job_.finish_context, b_.out, b_.out_stride, row, rows);
        },
        job_.measure != nullptr);
    each_run(
        [this](std::size_t row, std::size_t rows) {
          job_.finish(job_.finish_context, b_.out, b_.out_stride, row, rows);
        },
        job_.finish != nullptr);
  }

 private:
  [[nodiscard]] bool tall() const { return job_.rows > job_.columns; }

  double pack_matrix(int exponent) {
    Packing packing;
    packing.exponent = exponent;
    packing.source = job_.source;
    packing.rows = job_.rows;
    packing.columns = job_.columns;
    packing.partial_sums = b_.partial_sums;
    const auto add = [&](const Packed* rows, const Packed* columns) {
      packing.targets[packing.target_count++] =
          tall() ? ProductTarget{.same = columns, .transpose = rows}
                 : ProductTarget{.same = rows, .transpose = columns};
    };
    add(&b_.x_rows, &b_.x_columns);
    if (b_.master.data != nullptr) add(nullptr, &b_.master);
    return pack(team_, table_, packing, scratch_);
  }

  template <typename Body>
  void each_run(Body body, bool wanted) {
    if (!wanted) return;
    const std::size_t runs = (job_.rows + kFinishRows - 1) / kFinishRows;
    team_.share(runs, [&](std::size_t i) {
      const std::size_t row = i * kFinishRows;
      body(row, std::min(kFinishRows, job_.rows - row));
    });
  }

  void fill(float value) {
    each_run(
        [&](std::size_t row, std::size_t rows) {
          for (std::size_t r = row; r < row + rows; ++r) {
            std::fill_n(b_.out + r * b_.out_stride, job_.columns, value);
          }
        },
        true);
  }

  // The first step's factors carry the division by the norm, so that X is never
  // rewritten for it. Where squares could leave float32's range, X is first
  // multiplied by a power of two, which rounds nothing.
  void normalise(double sum) {
    if (!schedule_.normalise) return;
    const double norm = schedule_.safety * std::sqrt(sum);
    const double scale =
        1 / (schedule_.clamp_eps ? std::max(norm, schedule_.eps)
                                 : norm + schedule_.eps);
    constexpr int kRange = 24;
    int exponent = 0;
    std::frexp(norm, &exponent);
    if (std::abs(exponent) <= kRange) {
      scale_ = static_cast<float>(scale);
      return;
    }
    if (job_.source.repeatable) {
      (void)pack_matrix(-exponent);
    } else {
      rescale(b_.x_rows, -exponent);
      rescale(b_.x_columns, -exponent);
      if (b_.master.data != nullptr) rescale(b_.master, -exponent);
    }
    scale_ = static_cast<float>(std::ldexp(scale, exponent));
  }

  void rescale(const Packed& packed, int exponent) {
    constexpr std::size_t kChunk = std::size_t{1} << 14;
    const std::size_t bytes = packed.shape.bytes();
    team_.share((bytes + kChunk - 1) / kChunk, [&](std::size_t i) {
      std::byte* begin = packed.data + i * kChunk;
      const std::size_t size = std::min(kChunk, bytes - i * kChunk);
      if (packed.shape.element() == Element::kFloat32) {
        auto* x = reinterpret_cast<float*>(begin);
        for (std::size_t j = 0; j < size / sizeof(float); ++j) {
          x[j] = std::ldexp(x[j], exponent);
        }
        return;
      }
      auto* x = reinterpret_cast<std::uint16_t*>(begin);
      for (std::size_t j = 0; j < size / sizeof(std::uint16_t); ++j) {
        const std::uint32_t wide = std::uint32_t{x[j]} << 16;
        const float value = std::ldexp(std::bit_cast<float>(wide), exponent);
        x[j] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >>
                                          16);
      }
    });
  }

  // gram = scale^2 X X^T
  void make_gram(float scale) {
    Product p;
    p.left = p.right = b_.x_rows;
    p.symmetric = true;
    p.alpha = scale * scale;
    add_target(p, {.same = &b_.gram});
    multiply(team_, table_, p, scratch_);
  }

  // to = alpha left right + beta addend of (n, n) matrices that commute.
  Product symmetric(const Packed& left, const Packed& right, float alpha,
                    float beta, const Packed* addend, const Packed* to) {
    Product p;
    p.left = left;
    p.right = right;
    p.symmetric = true;
    p.alpha = alpha;
    p.beta = beta;
    p.addend = addend;
    if (to != nullptr) add_target(p, {.same = to});
    return p;
  }

  // X <- alpha left X + beta X; the last one goes to the output.
  void apply(const Packed& left, float alpha, float beta, bool last) {
    Product p;
    p.left = left;
    p.right = b_.x_columns;
    p.alpha = alpha;
    p.beta = beta;
    const bool master = b_.master.data != nullptr;
    if (beta != 0) p.addend = master ? &b_.master : &b_.x_columns;
    if (last) {
      p.rows = b_.out;
      p.rows_stride = b_.out_stride;
      p.rows_transposed = tall();
    } else {
      add_target(p, {.same = &b_.x_rows, .transpose = &b_.x_next});
      if (master) add_target(p, {.transpose = &b_.master_next});
    }
    multiply(team_, table_, p, scratch_);
    std::swap(b_.x_columns, b_.x_next);
    std::swap(b_.master, b_.master_next);
  }

  void standard() {
    float scale = scale_;
    for (std::size_t t = 0; t < schedule_.steps.size(); ++t) {
      const PolarStep step = schedule_.steps[t];
      const bool last = t + 1 == schedule_.steps.size();
      make_gram(scale);
      if (step.c == 0) {
        apply(b_.gram, step.b * scale, step.a * scale, last);
      } else {
        multiply(team_, table_,
                 symmetric(b_.gram, b_.gram, step.c, step.b, &b_.gram, &b_.z),
                 scratch_);
        apply(b_.z, scale, step.a * scale, last);
      }
      scale = 1;
    }
  }

  void gram() {
    float scale = scale_;
    bool first = true;
    for (std::size_t t = 1; t <= schedule_.steps.size(); ++t) {
      const PolarStep step = schedule_.steps[t - 1];
      const bool last = t == schedule_.steps.size();
      const bool end = last || is_restart(schedule_, t);
      if (first) make_gram(scale);
      Product make_z =
          symmetric(b_.gram, b_.gram, step.c, step.b, &b_.gram, &b_.z);
      // Q = I before: QZ + aQ is Z + aI.
      if (first) add_q(make_z, step.a, end);
      multiply(team_, table_, make_z, scratch_);
      if (!first) {
        Product next_q = symmetric(b_.q, b_.z, 1, step.a, &b_.q, nullptr);
        add_q(next_q, 0, end);
        multiply(team_, table_, next_q, scratch_);
      }
      std::swap(b_.q, b_.q_next);
      if (end) {
        apply(b_.long_q ? b_.q_long : b_.q, scale, 0, last);
        scale = 1;
      } else {
        multiply(team_, table_,
                 symmetric(b_.gram, b_.z, 1, step.a, &b_.gram, &b_.rz),
                 scratch_);
        multiply(team_, table_,
                 symmetric(b_.z, b_.rz, 1, step.a, &b_.rz, &b_.gram), scratch_);
      }
      first = end;
    }
  }

  // The next Q is read by squares before the segment's end, by X at its end.
  void add_q(Product& product, float diagonal, bool end) {
    const Packed* to = end && b_.long_q ? &b_.q_long : &b_.q_next;
    add_target(product, {.same = to, .diagonal = diagonal});
  }

  Team& team_;
  const ProductTable& table_;
  const PolarJob& job_;
  const PolarSchedule& schedule_;
  const ProductScratch& scratch_;
  Carver carver_;
  Buffers b_;
  float scale_ = 1;
};

}  // namespace

std::size_t iteration_bytes(const PolarJob& job,
                            const PolarSchedule& schedule) {
  Carver carver(nullptr);
  const Buffers buffers(job, schedule, carver);
  return carver.used();
}

void iterate(Team& team, const ProductTable& table, const PolarJob& job,
             const PolarSchedule& schedule, std::byte* memory,
             const ProductScratch& scratch) {
  Iteration(team, table, job, schedule, memory, scratch).run();
}

bool is_restart(const PolarSchedule& schedule, std::size_t step) {
  return step < schedule.steps.size() &&
         std::find(schedule.restarts.begin(), schedule.restarts.end(), step) !=
             schedule.restarts.end();
}

}  // namespace muonlab::kernels
