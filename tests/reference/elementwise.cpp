// AdamW, Adam, SGD, Lion and Signum.
#include <cmath>
#include <stdexcept>

#include "tests/reference/algebra.h"
#include "tests/reference/twin.h"

namespace muonlab::reference {

namespace {

class Elementwise : public Twin {
 public:
  Elementwise(const Settings& settings, Noise noise)
      : Twin(noise), s_(settings) {
    const std::string decay = s_.text("decay");
    for (const auto* known :
         {"decoupled", "cautious", "l2", "after", "independent"}) {
      if (decay == known) return;
    }
    throw std::invalid_argument("replay: no decay " + decay + " here");
  }

  void step(Matrix& weight, const Matrix& gradient) override {
    if (t_ == 0) {
      m_ = Matrix(weight.rows, weight.columns);
      v_ = m_;
    }
    ++t_;
    Matrix g = gradient;
    if (s_.text("decay") == "l2") add(g, s_.number("weight_decay"), weight);
    descend(weight, update(g), s_.text("decay"), s_.number("lr"),
            s_.number("weight_decay"), 1);
  }

 protected:
  virtual Matrix update(const Matrix& g) = 0;

  Settings s_;
  int t_ = 0;
  Matrix m_;
  Matrix v_;
};

class Adam : public Elementwise {
 public:
  using Elementwise::Elementwise;

 private:
  Matrix update(const Matrix& g) override {
    const double beta1 = s_.number("beta1");
    const double beta2 = s_.number("beta2");
    const double eps = s_.number("eps");
    blend(m_, beta1, 1 - beta1, g);
    blend(v_, beta2, 1 - beta2, squared(g));
    const double correction1 = 1 - std::pow(beta1, t_);
    const double correction2 = 1 - std::pow(beta2, t_);
    const std::string placement = s_.text("eps_placement");
    Matrix u = m_;
    for (std::size_t i = 0; i < u.values.size(); ++i) {
      if (placement == "outside") {
        u.values[i] = m_.values[i] / correction1 /
                      (std::sqrt(v_.values[i] / correction2) + eps);
      } else if (placement == "inside") {
        u.values[i] = std::sqrt(correction2) / correction1 * m_.values[i] /
                      (std::sqrt(v_.values[i]) + eps);
      } else {
        throw std::invalid_argument("replay: no eps_placement " + placement);
      }
    }
    return u;
  }
};

class Sgd : public Elementwise {
 public:
  using Elementwise::Elementwise;

 private:
  Matrix update(const Matrix& g) override {
    const double mu = s_.number("momentum");
    blend(m_, mu, 1, g);
    Matrix u = m_;
    if (s_.flag("nesterov")) blend(u, mu, 1, g);
    return u;
  }
};

Matrix signs(Matrix a) {
  for (double& value : a.values) value = sign_of(value);
  return a;
}

class Lion : public Elementwise {
 public:
  using Elementwise::Elementwise;

 private:
  Matrix update(const Matrix& g) override {
    const double beta1 = s_.number("beta1");
    const double beta2 = s_.number("beta2");
    Matrix mixed = m_;
    blend(mixed, beta1, 1 - beta1, g);
    blend(m_, beta2, 1 - beta2, g);
    return signs(mixed);
  }
};

class Signum : public Elementwise {
 public:
  using Elementwise::Elementwise;

 private:
  Matrix update(const Matrix& g) override {
    const double beta = s_.number("momentum");
    blend(m_, beta, 1 - beta, g);
    return signs(m_);
  }
};

}  // namespace

TwinPointer adam(const Settings& s, Noise noise) {
  return std::make_unique<Adam>(s, noise);
}
TwinPointer sgd(const Settings& s, Noise noise) {
  return std::make_unique<Sgd>(s, noise);
}
TwinPointer lion(const Settings& s, Noise noise) {
  return std::make_unique<Lion>(s, noise);
}
TwinPointer signum(const Settings& s, Noise noise) {
  return std::make_unique<Signum>(s, noise);
}

}  // namespace muonlab::reference
