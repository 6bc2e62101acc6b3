"""The settings of the scikit-learn baselines."""

from typing import Annotated, Literal

from pydantic import Field

from gtzan_lightning.recipe.section import Count, Factor, ModelSettings, Names, file, part


class ClassicalSettings(ModelSettings):
    """The features that every baseline classifies."""

    summary: Literal["mean", "mean_covariance", "flatten"] = part("mean_covariance")
    """features of a clip's picture: means of the bins, means and covariances, or every pixel"""
    standardise: bool = part(True)
    """bring each feature to mean 0 and spread 1 on the training clips"""
    components: Count | None = part(None)
    """number of principal components (none: no PCA)"""
    table: str | None = file(None)
    """feature table used instead of pictures (CSV with a filename or id column), such as Kaggle's
    features_30_sec.csv"""
    columns: Names = part(())
    """columns of the table used as features (none: all numeric ones but length and id)"""
    leaky_columns: bool = part(False)
    """LEAKY: with a table, use also columns that tell the genre without music, such as the index
    column that pandas writes; without it such a table is refused"""
    leaky_id: bool = part(False)
    """with a table: use the row number as a feature, as basak did (it gives the genre away)"""


class KnnSettings(ClassicalSettings):
    """k nearest neighbours"""

    source = "zhang"
    name: Literal["knn"] = part("knn")
    neighbours: Count = part(10)
    """number of neighbours"""


class SvmSettings(ClassicalSettings):
    """support vector machine"""

    source = "basak, zhang"
    name: Literal["svm"] = part("svm")
    kernel: Literal["rbf", "linear", "poly"] = part("rbf")
    """kernel of the support vector machine"""
    penalty: Factor = part(1.0)
    """C, the inverse strength of the regularisation"""


class LogisticRegressionSettings(ClassicalSettings):
    """multinomial logistic regression"""

    source = "basak"
    name: Literal["logistic_regression"] = part("logistic_regression")
    penalty: Factor = part(0.1)
    """C, the inverse strength of the regularisation"""
    iterations: Count = part(1000)
    """maximum number of iterations"""


class RandomForestSettings(ClassicalSettings):
    """random forest"""

    source = "literature row of zhang"
    name: Literal["random_forest"] = part("random_forest")
    trees: Annotated[int, Field(ge=1, le=10**5)] = part(500)
    """number of trees"""
